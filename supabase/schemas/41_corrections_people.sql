-- How a person is shown: name, whether at all, by which face.

create function public.memoria_rename_person(p_person_id uuid, p_name text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_person memoria.persons := memoria.lock_person_of_today(p_person_id);
  v_name text := nullif(btrim(p_name), '');
  c memoria.changes;
begin
  if char_length(v_name) > 200 then
    raise exception 'A name has at most 200 characters.' using errcode = '22001';
  end if;
  c := memoria.begin_change(v_person.event_id, 'renamed', v_person.id);
  c := memoria.set_value(c, 'name/' || v_person.id, to_jsonb(v_name));
  c := memoria.rests_on_people(c, array[v_person.id]);
  return jsonb_build_object(
    'person_id', v_person.id, 'name', v_name, 'change_id', memoria.finish_change(c),
    -- others of an equal name, without case and accents: perhaps one person, perhaps not
    'same_name', (
      select coalesce(jsonb_agg(id order by face_count desc, id), '[]') from memoria.persons
      where event_id = v_person.event_id and id <> v_person.id and merged_into is null
        and name is not null and name_key = memoria.name_key(v_name)
    )
  );
end
$$;

create function public.memoria_hide_person(p_person_id uuid, p_hidden boolean) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_person memoria.persons := memoria.lock_person_of_today(p_person_id);
  v_hidden boolean := coalesce(p_hidden, true);
  c memoria.changes := memoria.begin_change(
    v_person.event_id, case when v_hidden then 'hidden' else 'shown' end, v_person.id
  );
begin
  c := memoria.set_value(c, 'hidden/' || v_person.id, to_jsonb(v_hidden));
  if not v_hidden then
    c := memoria.set_value(c, 'nobody/' || v_person.id, 'false');
  end if;
  c := memoria.rests_on_people(c, array[v_person.id]);
  return jsonb_build_object(
    'person_id', v_person.id, 'hidden', v_hidden, 'change_id', memoria.finish_change(c)
  );
end
$$;

-- The face that a person is shown by, until another is chosen or it is no longer theirs.
create function public.memoria_set_cover(p_person_id uuid, p_face_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_person memoria.persons := memoria.lock_person_of_today(p_person_id);
  c memoria.changes;
begin
  if not exists (select from memoria.faces where id = p_face_id and person_id = v_person.id) then
    raise exception 'This is no face of this person.' using errcode = 'PT409';
  end if;
  c := memoria.begin_change(v_person.event_id, 'cover', v_person.id);
  c := memoria.say(c, 'cover', array[p_face_id], v_person.id);
  c := memoria.withdraw_covers(c, array[v_person.id], c.held[1]);
  c := memoria.rests_on_people(c, array[v_person.id], true);
  c.touches := c.touches || ('cover/' || v_person.id);
  return jsonb_build_object(
    'person_id', v_person.id, 'face_id', p_face_id, 'change_id', memoria.finish_change(c)
  );
end
$$;
