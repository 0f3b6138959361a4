-- What users say of people. Every function locks the event, so that it never interleaves with a run's
-- saving, and acts on the person that users see: the root of whatever was merged.

-- The person under the event's lock. Raises 404, or 409 where the event is archived.
create function memoria.lock_person(p_person_id uuid) returns memoria.persons
language plpgsql set search_path = '' as $$
declare
  v_person memoria.persons;
begin
  perform memoria.lock_open_event(
    (select event_id from memoria.persons where id = p_person_id), 'manage', 'person'
  );
  select * into v_person from memoria.persons where id = memoria.root_of(p_person_id);
  if not found then
    perform memoria.refuse_unknown('person');
  end if;
  return v_person;
end
$$;

-- The face under the event's lock; raises like lock_person.
create function memoria.lock_face(p_face_id uuid) returns memoria.faces
language plpgsql set search_path = '' as $$
declare
  v_face memoria.faces;
begin
  perform memoria.lock_open_event(
    (select event_id from memoria.faces where id = p_face_id), 'manage', 'face'
  );
  select * into v_face from memoria.faces where id = p_face_id;
  if not found then
    perform memoria.refuse_unknown('face');
  end if;
  return v_face;
end
$$;

-- The person within an event that is locked already.
create function memoria.person_within(p_event_id text, p_person_id uuid) returns memoria.persons
language plpgsql stable set search_path = '' as $$
declare
  v_person memoria.persons;
begin
  select * into v_person from memoria.persons
  where id = memoria.root_of(p_person_id) and event_id = p_event_id;
  if not found then
    perform memoria.refuse_unknown('person');
  end if;
  return v_person;
end
$$;

-- What lists show of these people, after a correction: figures, covers, means, version.
create function memoria.people_changed(p_event_id text, p_people uuid[]) returns void
language sql set search_path = '' as $$
  select memoria.refresh_people(p_people);
  select memoria.refresh_centroids(p_people);
  select memoria.touch_people(p_event_id);
$$;

-- Remembers a pin or a rejection of faces, in place of what it contradicts: the last word counts.
create function memoria.say(p_kind text, p_face_ids uuid[], p_person_id uuid) returns void
language sql set search_path = '' as $$
  delete from memoria.corrections
  where face_id = any (p_face_ids)
    and (memoria.root_of(person_id) = p_person_id or (kind = 'pin' and p_kind = 'pin'));
  insert into memoria.corrections (event_id, kind, face_id, media_id, x, y, w, h, person_id, created_by)
  select event_id, p_kind, id, media_id, x, y, w, h, p_person_id, (select auth.uid())
  from memoria.faces where id = any (p_face_ids) order by id;
$$;

create function memoria.note_change(
  p_event_id text, p_kind text, p_person_id uuid, p_other_person_id uuid, p_faces integer
) returns void
language sql set search_path = '' as $$
  insert into memoria.person_changes (event_id, kind, person_id, other_person_id, faces)
  values (p_event_id, p_kind, p_person_id, p_other_person_id, p_faces)
$$;

-- These faces are this person's, and of nobody whose they were.
create function memoria.give_faces(p_face_ids uuid[], p_person memoria.persons, p_kind text) returns void
language plpgsql set search_path = '' as $$
declare
  v_owner record;
  v_people uuid[] := array(
    select p_person.id
    union select person_id from memoria.faces where id = any (p_face_ids) and person_id is not null
    union select identity_id from memoria.faces where id = any (p_face_ids) and identity_id is not null
  );
begin
  for v_owner in
    select person_id as id, array_agg(id) as face_ids from memoria.faces
    where id = any (p_face_ids) and person_id is distinct from p_person.id group by person_id
  loop
    if v_owner.id is not null then
      perform memoria.say('reject', v_owner.face_ids, v_owner.id);
    end if;
    perform memoria.note_change(
      p_person.event_id, p_kind, p_person.id, v_owner.id, cardinality(v_owner.face_ids)
    );
  end loop;
  perform memoria.say('pin', p_face_ids, p_person.id);
  update memoria.faces set identity_id = p_person.id, person_id = p_person.id
  where id = any (p_face_ids) and person_id is distinct from p_person.id;
  perform memoria.people_changed(p_person.event_id, v_people);
end
$$;

create function public.memoria_assign_face(p_face_id uuid, p_person_id uuid default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_face memoria.faces := memoria.lock_face(p_face_id);
  v_person memoria.persons;
begin
  if p_person_id is null then
    insert into memoria.persons (event_id) values (v_face.event_id) returning * into v_person;
  else
    v_person := memoria.person_within(v_face.event_id, p_person_id);
  end if;
  perform memoria.give_faces(array[p_face_id], v_person, 'assigned');
  return jsonb_build_object('face_id', p_face_id, 'person_id', v_person.id);
end
$$;

create function public.memoria_reject_face(p_face_id uuid, p_person_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_face memoria.faces := memoria.lock_face(p_face_id);
  v_person memoria.persons := memoria.person_within(v_face.event_id, p_person_id);
  v_people uuid[] := array_remove(array[v_person.id, v_face.identity_id], null);
begin
  perform memoria.say('reject', array[p_face_id], v_person.id);
  if v_face.person_id = v_person.id then
    v_face.person_id := null;
    update memoria.faces set identity_id = null, person_id = null where id = p_face_id;
  end if;
  perform memoria.note_change(v_person.event_id, 'rejected', v_person.id, null, 1);
  perform memoria.people_changed(v_person.event_id, v_people);
  return jsonb_build_object('face_id', p_face_id, 'person_id', v_face.person_id);
end
$$;

create function public.memoria_merge_people(p_into uuid, p_from uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_into memoria.persons := memoria.lock_person(p_into);
  v_from memoria.persons := memoria.person_within(v_into.event_id, p_from);
begin
  if v_into.id <> v_from.id then
    -- their faces were told apart before; now they are one. A pin counts for its face also while no
    -- model finds that face.
    delete from memoria.corrections as said
    where kind = 'reject' and memoria.root_of(person_id) in (v_into.id, v_from.id) and (
      face_id in (select id from memoria.faces where person_id in (v_into.id, v_from.id))
      or exists (
        select from memoria.corrections as pin
        where pin.kind = 'pin' and pin.face_id = said.face_id
          and memoria.root_of(pin.person_id) in (v_into.id, v_from.id)
      )
    );
    update memoria.persons set merged_into = v_into.id
    where v_from.id in (id, merged_into);
    update memoria.persons set name = coalesce(name, v_from.name) where id = v_into.id;
    update memoria.faces set person_id = v_into.id where person_id = v_from.id;
    perform memoria.note_change(v_into.event_id, 'merged', v_into.id, v_from.id, v_from.face_count);
    perform memoria.people_changed(v_into.event_id, array[v_into.id, v_from.id]);
  end if;
  return jsonb_build_object('person_id', v_into.id);
end
$$;

-- Takes faces out of a person: they become a new one, and never go back.
create function public.memoria_split_person(p_person_id uuid, p_face_ids uuid[]) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_person memoria.persons := memoria.lock_person(p_person_id);
  v_new memoria.persons;
begin
  if coalesce(cardinality(p_face_ids), 0) = 0 or exists (
    select from unnest(p_face_ids) as wanted (id)
    where not exists (
      select from memoria.faces where faces.id = wanted.id and person_id = v_person.id
    )
  ) then
    raise exception 'These are not all faces of this person.' using errcode = 'PT409';
  end if;
  insert into memoria.persons (event_id) values (v_person.event_id) returning * into v_new;
  perform memoria.give_faces(p_face_ids, v_new, 'split');
  return jsonb_build_object('person_id', v_new.id);
end
$$;

create function public.memoria_rename_person(p_person_id uuid, p_name text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_person memoria.persons := memoria.lock_person(p_person_id);
  v_name text := nullif(btrim(p_name), '');
begin
  if char_length(v_name) > 200 then
    raise exception 'A name has at most 200 characters.' using errcode = '22001';
  end if;
  update memoria.persons set name = v_name where id = v_person.id;
  perform memoria.note_change(v_person.event_id, 'renamed', v_person.id, null, null);
  perform memoria.touch_people(v_person.event_id);
  return jsonb_build_object(
    'person_id', v_person.id, 'name', v_name,
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
  v_person memoria.persons := memoria.lock_person(p_person_id);
  v_hidden boolean := coalesce(p_hidden, true);
begin
  update memoria.persons set hidden = v_hidden where id = v_person.id;
  perform memoria.note_change(
    v_person.event_id, case when v_hidden then 'hidden' else 'shown' end, v_person.id, null, null
  );
  perform memoria.touch_people(v_person.event_id);
  return jsonb_build_object('person_id', v_person.id, 'hidden', v_hidden);
end
$$;

