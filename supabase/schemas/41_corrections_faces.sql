-- Whose a face is: this person's, a new one's, not this person's, nobody's.

-- These faces are this person's, and of nobody whose they were.
create function memoria.give_faces(inout c memoria.changes, p_face_ids uuid[], p_person_id uuid)
language plpgsql set search_path = '' as $$
declare
  v_owner record;
begin
  c := memoria.rests_on_people(c, array[p_person_id], true);
  for v_owner in
    select person_id as id, array_agg(id order by id) as face_ids from memoria.faces
    where id = any (p_face_ids) and person_id <> p_person_id group by person_id order by person_id
  loop
    c := memoria.say(c, 'reject', v_owner.face_ids, v_owner.id);
    c := memoria.rests_on_people(c, array[v_owner.id], true);
    c.other_person_id := coalesce(c.other_person_id, v_owner.id);
  end loop;
  c := memoria.say(c, 'pin', p_face_ids, p_person_id);
  c.faces := cardinality(p_face_ids);
end
$$;

create function public.memoria_assign_face(p_face_id uuid, p_person_id uuid default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_face memoria.faces := memoria.lock_face(p_face_id);
  c memoria.changes;
  v_person uuid;
begin
  if p_person_id is not null then
    v_person := (memoria.person_within(v_face.event_id, p_person_id)).id;
  end if;
  c := memoria.begin_change(v_face.event_id, 'assigned', v_person);
  if v_person is null then
    c := memoria.make_person(c);
    v_person := c.person_id;
  end if;
  c := memoria.give_faces(c, array[p_face_id], v_person);
  return jsonb_build_object('face_id', p_face_id, 'person_id', v_person)
    || memoria.told(memoria.finish_change(c), p_person_id, v_person);
end
$$;

-- Takes at most 1,000 faces out of a person: they become a new one, and never go back.
create function public.memoria_split_person(p_person_id uuid, p_face_ids uuid[]) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_person memoria.persons := memoria.lock_person(p_person_id);
  c memoria.changes;
begin
  perform memoria.check_faces(v_person.event_id, p_face_ids);
  if exists (
    select from unnest(p_face_ids) as wanted (id)
    where not exists (
      select from memoria.faces where faces.id = wanted.id and person_id = v_person.id
    )
  ) then
    raise exception 'These are not all faces of this person.' using errcode = 'PT409';
  end if;
  c := memoria.make_person(memoria.begin_change(v_person.event_id, 'split', null, v_person.id));
  c := memoria.give_faces(c, p_face_ids, c.person_id);
  return jsonb_build_object('person_id', c.person_id)
    || memoria.told(memoria.finish_change(c), p_person_id, v_person.id);
end
$$;

create function memoria.reject_faces(inout c memoria.changes, p_face_ids uuid[], p_person_id uuid)
language plpgsql set search_path = '' as $$
begin
  c := memoria.say(c, 'reject', p_face_ids, p_person_id);
  c := memoria.rests_on_people(c, array[p_person_id], true);
  c.faces := cardinality(p_face_ids);
end
$$;

create function public.memoria_reject_face(p_face_id uuid, p_person_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_face memoria.faces := memoria.lock_face(p_face_id);
  v_person memoria.persons := memoria.person_within(v_face.event_id, p_person_id);
  v_change bigint;
begin
  v_change := memoria.finish_change(memoria.reject_faces(
    memoria.begin_change(v_face.event_id, 'rejected', v_person.id), array[p_face_id], v_person.id
  ));
  return jsonb_build_object(
    'face_id', p_face_id, 'person_id', (select person_id from memoria.faces where id = p_face_id)
  ) || memoria.told(v_change, p_person_id, v_person.id);
end
$$;

create function public.memoria_reject_faces(p_person_id uuid, p_face_ids uuid[]) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_person memoria.persons := memoria.lock_person(p_person_id);
begin
  perform memoria.check_faces(v_person.event_id, p_face_ids);
  return jsonb_build_object('person_id', v_person.id) || memoria.told(
    memoria.finish_change(memoria.reject_faces(
      memoria.begin_change(v_person.event_id, 'rejected', v_person.id), p_face_ids, v_person.id
    )), p_person_id, v_person.id
  );
end
$$;

-- It is no face (no_face), or a face of nobody's (nobody: a statue, a poster): the row stays, and neither
-- a list nor a run sees it any more.
create function memoria.dismiss(inout c memoria.changes, p_kind text, p_face memoria.faces)
language plpgsql set search_path = '' as $$
begin
  c := memoria.say(c, p_kind, array[p_face.id]);
  c := memoria.rests_on_people(c, array[p_face.person_id], true);
  c.faces := 1;
end
$$;

create function public.memoria_dismiss_face(p_face_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_face memoria.faces := memoria.lock_face(p_face_id);
begin
  return jsonb_build_object('face_id', p_face_id, 'change_id', memoria.finish_change(
    memoria.dismiss(memoria.begin_change(v_face.event_id, 'no_face', v_face.person_id), 'no_face', v_face)
  ));
end
$$;
