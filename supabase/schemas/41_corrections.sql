-- What users say of people and faces, and what every such function begins and ends with. Each locks the
-- event, so that it never interleaves with a run's saving, and acts on the person that users see: the root
-- of whatever was merged.

-- The person that an id of this event stands for today. Raises 404.
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

-- The same by the id alone, with the event locked. Raises 404, or 409 where the event is archived.
create function memoria.lock_person(p_person_id uuid) returns memoria.persons
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events := memoria.lock_open_event(
    (select event_id from memoria.persons where id = p_person_id), 'manage', 'person'
  );
begin
  return memoria.person_within(v_event.id, p_person_id);
end
$$;

-- What is said to an id that was merged away is never said of somebody else: raises 409 that names the person.
create function memoria.check_id_of_today(p_asked uuid, p_person memoria.persons) returns void
language plpgsql stable set search_path = '' as $$
begin
  if p_person.id <> p_asked then
    raise exception 'This person was merged into %.', coalesce(p_person.name || ' (' || p_person.id || ')', p_person.id::text)
      using errcode = 'PT409', detail = jsonb_build_object('is_now', p_person.id, 'name', p_person.name)::text;
  end if;
end
$$;

-- The person under the event's lock, by the id of today.
create function memoria.lock_person_of_today(p_person_id uuid) returns memoria.persons
language plpgsql set search_path = '' as $$
declare
  v_person memoria.persons := memoria.lock_person(p_person_id);
begin
  perform memoria.check_id_of_today(p_person_id, v_person);
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

-- At most 1,000 faces at once; raises 409 where one is no face of this event.
create function memoria.check_faces(p_event_id text, p_face_ids uuid[]) returns void
language plpgsql stable set search_path = '' as $$
begin
  if coalesce(cardinality(p_face_ids), 0) not between 1 and 1000 then
    raise exception 'One call names 1 to 1000 faces.' using errcode = '22023';
  elsif exists (
    select from unnest(p_face_ids) as wanted (id)
    where not exists (select from memoria.faces where faces.id = wanted.id and event_id = p_event_id)
  ) then
    perform memoria.refuse_unknown('face');
  end if;
end
$$;

-- What every correction answers with: the change, null where nothing changed; and who somebody is whose
-- id was merged away.
create function memoria.told(p_change_id bigint, p_asked uuid, p_person_id uuid) returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object('change_id', p_change_id) || case
    when p_asked <> p_person_id then jsonb_build_object('is_now', p_person_id) else '{}'
  end
$$;

-- What a change takes for granted of the people whom it names: that they were made, and with p_who also
-- that nobody was merged with them since.
create function memoria.rests_on_people(inout c memoria.changes, p_people uuid[], p_who boolean default false)
language plpgsql stable set search_path = '' as $$
begin
  c.relies_on := c.relies_on || array(
    select what || '/' || person
    from unnest(p_people) as person, unnest(array['made', 'who']) as what
    where person is not null and (what = 'made' or p_who)
  );
end
$$;

-- Of the covers that were chosen for these people one is kept; none is withdrawn where none is named.
create function memoria.withdraw_covers(inout c memoria.changes, p_people uuid[], p_kept bigint)
language plpgsql set search_path = '' as $$
declare
  v_ids constant uuid[] := memoria.ids_of(p_people);
begin
  with withdrawn as (
    update memoria.corrections set withdrawn_by = c.id
    where kind = 'cover' and withdrawn_by is null and person_id = any (v_ids) and id <> p_kept
    returning id
  )
  select c.withdrew || array(select id from withdrawn) into c.withdrew;
end
$$;
