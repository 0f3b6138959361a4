-- What users say of people. Every function locks the event, so that it never interleaves with a run's
-- saving, and acts on the person that users see: the root of whatever was merged.

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

-- These people become one. The name is the first that somebody has, in the order in which they are
-- named; the chosen cover likewise.
create function memoria.merge(inout c memoria.changes, p_into uuid, p_from uuid[])
language plpgsql set search_path = '' as $$
declare
  v_all uuid[] := p_into || p_from;
  v_cover bigint;
begin
  -- their faces were told apart before; now they are one. A pin counts for its face also while no
  -- model finds that face.
  with withdrawn as (
    update memoria.corrections as said set withdrawn_by = c.id
    where said.kind = 'reject' and said.withdrawn_by is null and said.event_id = c.event_id
      and memoria.root_of(said.person_id) = any (v_all) and (
        said.face_id in (select id from memoria.faces where person_id = any (v_all))
        or exists (
          select from memoria.corrections as pin
          where pin.kind = 'pin' and pin.withdrawn_by is null and pin.face_id = said.face_id
            and memoria.root_of(pin.person_id) = any (v_all)
        )
      )
    returning id
  )
  select array(select id from withdrawn order by id) into c.withdrew;
  v_cover := (
    select id from memoria.corrections
    where kind = 'cover' and withdrawn_by is null and memoria.root_of(person_id) = any (v_all)
    order by array_position(v_all, memoria.root_of(person_id)), id desc limit 1
  );
  with withdrawn as (
    update memoria.corrections set withdrawn_by = c.id
    where kind = 'cover' and withdrawn_by is null and memoria.root_of(person_id) = any (v_all) and id <> v_cover
    returning id
  )
  select c.withdrew || array(select id from withdrawn) into c.withdrew;
  for i in 1 .. cardinality(p_from) loop
    c := (
      select memoria.set_value_of_all(c, array_agg('merged/' || id order by id), to_jsonb(p_into))
      from memoria.persons where p_from[i] in (id, merged_into)
    );
  end loop;
  c := memoria.set_value(c, 'name/' || p_into, (
    select to_jsonb(name) from memoria.persons where id = any (v_all) and name is not null
    order by array_position(v_all, id) limit 1
  ));
  -- who was told apart is one now: the last word counts
  c := memoria.set_value_of_all(c, array(
    select 'apart/' || one_id || '/' || other_id from memoria.distinct_people
    where event_id = c.event_id
      and memoria.root_of(one_id) = any (v_all) and memoria.root_of(other_id) = any (v_all)
  ), 'false');
  if c.after ? ('name/' || p_into) then
    c.relies_on := c.relies_on || array(select 'name/' || person from unnest(p_from) as person);
  end if;
  c.touches := c.touches || array(select 'who/' || person from unnest(v_all) as person);
  c := memoria.rests_on_people(c, v_all);
  c.faces := (select sum(face_count) from memoria.persons where id = any (p_from));
end
$$;

create function public.memoria_merge_people(p_into uuid, p_from uuid[]) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_into memoria.persons := memoria.lock_person(p_into);
  v_person uuid;
  v_from uuid[] := '{}';
  v_change bigint;
begin
  if coalesce(cardinality(p_from), 0) not between 1 and 100 then
    raise exception 'p_from names 1 to 100 people.' using errcode = '22023';
  end if;
  foreach v_person in array p_from loop
    v_person := (memoria.person_within(v_into.event_id, v_person)).id;
    if v_person <> v_into.id and v_person <> all (v_from) then
      v_from := v_from || v_person;
    end if;
  end loop;
  if cardinality(v_from) > 0 then
    v_change := memoria.finish_change(memoria.merge(
      memoria.begin_change(v_into.event_id, 'merged', v_into.id, v_from[1]), v_into.id, v_from
    ));
  end if;
  return jsonb_build_object('person_id', v_into.id) || memoria.told(v_change, p_into, v_into.id);
end
$$;

-- Takes faces out of a person: they become a new one, and never go back.
create function public.memoria_split_person(p_person_id uuid, p_face_ids uuid[]) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_person memoria.persons := memoria.lock_person(p_person_id);
  c memoria.changes;
begin
  if coalesce(cardinality(p_face_ids), 0) = 0 or exists (
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

-- These two are not one person, whatever a run makes of them.
create function memoria.tell_apart(inout c memoria.changes, p_one uuid, p_other uuid)
language plpgsql set search_path = '' as $$
begin
  c := memoria.set_value(c, 'apart/' || array_to_string(memoria.pair_of(p_one, p_other), '/'), 'true');
  c := memoria.rests_on_people(c, array[p_one, p_other], true);
end
$$;

create function public.memoria_tell_apart(p_a uuid, p_b uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_one memoria.persons := memoria.lock_person(p_a);
  v_other memoria.persons := memoria.person_within(v_one.event_id, p_b);
begin
  if v_one.id = v_other.id then
    raise exception 'These are one person: split the person, or take the merge back.' using errcode = 'PT409';
  end if;
  return jsonb_build_object('person_id', v_one.id, 'other_person_id', v_other.id, 'change_id',
    memoria.finish_change(memoria.tell_apart(
      memoria.begin_change(v_one.event_id, 'told_apart', v_one.id, v_other.id), v_one.id, v_other.id
    ))
  );
end
$$;

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
  with withdrawn as (
    update memoria.corrections set withdrawn_by = c.id
    where kind = 'cover' and withdrawn_by is null and memoria.root_of(person_id) = v_person.id
      and event_id = c.event_id and cardinality(c.held) > 0 and id <> all (c.held)
    returning id
  )
  select c.withdrew || array(select id from withdrawn) into c.withdrew;
  c := memoria.rests_on_people(c, array[v_person.id], true);
  c.touches := c.touches || ('cover/' || v_person.id);
  return jsonb_build_object(
    'person_id', v_person.id, 'face_id', p_face_id, 'change_id', memoria.finish_change(c)
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
