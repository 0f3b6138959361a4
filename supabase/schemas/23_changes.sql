-- The log of what users change. Every correction is one row of memoria.changes, whose effect this file
-- makes; taking it back is another row with everything turned round (43_undo.sql), and the same effect.
--
-- A change is made in three steps, with the event locked: begin_change, then say and set_value for what
-- it says, then finish_change, which writes it down and makes it true; a change of nothing leaves no row.

-- Two ids in the one order in which pairs are kept.
create function memoria.pair_of(p_one uuid, p_other uuid) returns uuid[]
language sql immutable set search_path = '' as $$
  select array[least(p_one, p_other), greatest(p_one, p_other)]
$$;

-- What stands under a name: name/<person>, hidden/<person>, nobody/<person>, merged/<person>, made/<person>
-- (a change made this person), shown/<person> (by which face), apart/<person>/<person>, answer/<suggestion>.
create function memoria.value_of(p_key text) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_what text := split_part(p_key, '/', 1);
  v_id uuid := split_part(p_key, '/', 2)::uuid;
  v_person memoria.persons;
begin
  if v_what = 'apart' then
    return to_jsonb(exists (
      select from memoria.distinct_people where one_id = v_id and other_id = split_part(p_key, '/', 3)::uuid
    ));
  elsif v_what = 'made' then
    return 'false';
  elsif v_what = 'answer' then
    return coalesce((select to_jsonb(answer) from memoria.suggestions where id = v_id), 'null');
  end if;
  select * into v_person from memoria.persons where id = v_id;
  return coalesce(case v_what
    when 'name' then to_jsonb(v_person.name)
    when 'hidden' then to_jsonb(v_person.hidden)
    when 'nobody' then to_jsonb(v_person.nobody)
    when 'merged' then to_jsonb(v_person.merged_into)
    when 'shown' then to_jsonb(v_person.representative_face_id)
  end, 'null');
end
$$;

create function memoria.put_value(p_change memoria.changes, p_key text, p_value jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  v_what text := split_part(p_key, '/', 1);
  v_id uuid := split_part(p_key, '/', 2)::uuid;
  v_text text := p_value #>> '{}';
  v_nobodys uuid[];
begin
  if v_what = 'name' then
    update memoria.persons set name = v_text where id = v_id;
  elsif v_what = 'hidden' then
    update memoria.persons set hidden = v_text::boolean where id = v_id;
  elsif v_what = 'nobody' then
    update memoria.persons set nobody = v_text::boolean where id = v_id;
  elsif v_what = 'merged' then
    update memoria.persons set merged_into = v_text::uuid where id = v_id;
  elsif v_what = 'shown' then
    update memoria.persons set representative_face_id = v_text::uuid where id = v_id;
  elsif v_what = 'answer' then
    update memoria.suggestions as asked
    set answer = v_text, answered_by = case when v_text is not null then p_change.id end,
      asleep_at = case when v_text = 'not_sure' then memoria.faces_asked_about(asked) end
    where id = v_id;
  elsif v_what = 'apart' and v_text::boolean then
    insert into memoria.distinct_people (event_id, one_id, other_id)
    values (p_change.event_id, v_id, split_part(p_key, '/', 3)::uuid) on conflict do nothing;
  elsif v_what = 'apart' then
    delete from memoria.distinct_people where one_id = v_id and other_id = split_part(p_key, '/', 3)::uuid;
  elsif v_what = 'made' and v_text::boolean then
    insert into memoria.persons (id, event_id) values (v_id, p_change.event_id) on conflict do nothing;
  elsif v_what = 'made' then
    -- nobody is seen as this person any more; the row waits for the change to be made again. A run may have added
    -- faces of which users said that they are not the other's: those are nobody's.
    with taken as (
      update memoria.faces
      set identity_id = anew.identity_id, person_id = memoria.root_of(anew.identity_id)
      from (
        select id, case when not exists (
          select from memoria.corrections as said
          where said.face_id = faces.id and said.kind = 'reject' and said.withdrawn_by is null
            and memoria.root_of(said.person_id) = memoria.root_of(p_change.other_person_id)
          offset 0  -- each by its key
        ) then p_change.other_person_id end as identity_id
        from memoria.faces where identity_id = v_id
      ) as anew
      where faces.id = anew.id
      returning faces.id, faces.identity_id
    )
    select array(select id from taken where identity_id is null) into v_nobodys;
    if not v_nobodys <@ memoria.faces_of_change(p_change) then
      perform memoria.settle_event(p_change.event_id); -- a run says whose those are that runs have added
    end if;
  end if;
end
$$;

create function memoria.begin_change(
  p_event_id text, p_kind text, p_person_id uuid default null, p_other_person_id uuid default null
) returns memoria.changes
language plpgsql set search_path = '' as $$
declare
  c memoria.changes;
begin
  insert into memoria.changes (
    event_id, kind, made_by, person_id, other_person_id, before, after, held, withdrew, touches, relies_on
  ) values (
    p_event_id, p_kind, (select auth.uid()), p_person_id, p_other_person_id, '{}', '{}', '{}', '{}', '{}', '{}'
  ) returning * into c;
  c.root_id := c.id;
  return c;
end
$$;

-- Adds a value that is to stand under a name.
create function memoria.set_value(inout c memoria.changes, p_key text, p_value jsonb)
language plpgsql set search_path = '' as $$
declare
  v_before jsonb := memoria.value_of(p_key);
begin
  p_value := coalesce(p_value, 'null');
  if v_before <> p_value then
    c.before := c.before || jsonb_build_object(p_key, v_before);
    c.after := c.after || jsonb_build_object(p_key, p_value);
    c.touches := c.touches || p_key;
  end if;
end
$$;

create function memoria.set_value_of_all(inout c memoria.changes, p_keys text[], p_value jsonb)
language plpgsql set search_path = '' as $$
begin
  for i in 1 .. coalesce(cardinality(p_keys), 0) loop
    c := memoria.set_value(c, p_keys[i], p_value);
  end loop;
end
$$;

-- Makes a person, whom the change is about from now on.
create function memoria.make_person(inout c memoria.changes)
language plpgsql set search_path = '' as $$
begin
  insert into memoria.persons (event_id) values (c.event_id) returning id into c.person_id;
  c := memoria.set_value(c, 'made/' || c.person_id, 'true');
end
$$;

-- Whether a correction that holds goes where another is said of the same face. The people are roots.
create function memoria.contradicts(p_kind text, p_person_id uuid, p_old text, p_old_person_id uuid)
returns boolean
language sql immutable set search_path = '' as $$
  select case p_kind
    when 'pin' then p_old in ('pin', 'no_face', 'nobody')
      or (p_old = 'reject' and p_old_person_id = p_person_id)
      or (p_old = 'cover' and p_old_person_id <> p_person_id)
    when 'reject' then p_old in ('pin', 'cover') and p_old_person_id = p_person_id
    when 'drawn' then p_old = 'no_face'
    when 'no_face' then p_old in ('pin', 'cover', 'nobody')
    when 'nobody' then p_old in ('pin', 'cover', 'no_face')
    else false
  end
$$;

-- Adds what is said of faces, in place of what it contradicts: the last word counts. What was said and
-- holds is not said again.
create function memoria.say(
  inout c memoria.changes, p_kind text, p_face_ids uuid[], p_person_id uuid default null
)
language plpgsql set search_path = '' as $$
declare
  v_faces uuid[] := array(
    select face.id from unnest(p_face_ids) as face (id)
    where not exists (
      select from memoria.corrections as said
      where said.face_id = face.id and said.kind = p_kind and said.withdrawn_by is null
        and memoria.root_of(said.person_id) is not distinct from p_person_id
        and (p_kind <> 'pin' or exists (
          select from memoria.faces where faces.id = face.id and faces.person_id = p_person_id
        ))
    )
  );
begin
  with withdrawn as (
    update memoria.corrections set withdrawn_by = c.id
    where face_id = any (v_faces) and withdrawn_by is null
      and (memoria.contradicts(p_kind, p_person_id, kind, memoria.root_of(person_id))
        or (kind = p_kind and memoria.root_of(person_id) is not distinct from p_person_id))
    returning id
  )
  select c.withdrew || array(select id from withdrawn) into c.withdrew;
  with added as (
    insert into memoria.corrections (event_id, kind, face_id, media_id, x, y, w, h, person_id, created_by)
    select event_id, p_kind, id, media_id, x, y, w, h, p_person_id, c.made_by
    from memoria.faces where id = any (v_faces) order by id
    returning id
  )
  select c.held || array(select id from added) into c.held;
end
$$;

-- Where the faces are whose corrections a change made hold, and what it takes them from.
create function memoria.move_faces(c memoria.changes) returns void
language sql set search_path = '' as $$
  update memoria.corrections as said
  set moved = true, was = faces.identity_id
  from memoria.faces
  where said.id = any (c.held) and faces.id = said.face_id and case said.kind
    when 'pin' then memoria.root_of(faces.identity_id) is distinct from memoria.root_of(said.person_id)
    when 'reject' then memoria.root_of(faces.identity_id) = memoria.root_of(said.person_id) and not exists (
      select from memoria.corrections as pin
      where pin.id = any (c.held) and pin.kind = 'pin' and pin.face_id = said.face_id
    )
    else said.kind in ('no_face', 'nobody') and faces.identity_id is not null
  end;
  update memoria.faces
  set identity_id = case when said.kind = 'pin' then said.person_id end,
    person_id = case when said.kind = 'pin' then memoria.root_of(said.person_id) end
  from memoria.corrections as said
  where said.id = any (c.held) and said.moved and faces.id = said.face_id;
$$;

-- The same, back to where they were; an identity that is gone since was nobody's any more.
create function memoria.move_faces_back(c memoria.changes) returns void
language sql set search_path = '' as $$
  update memoria.faces
  set identity_id = persons.id, person_id = coalesce(persons.merged_into, persons.id)
  from memoria.corrections as said left join memoria.persons on persons.id = said.was
  where said.id = any (c.withdrew) and said.moved and faces.id = said.face_id;
  update memoria.corrections set moved = false, was = null where id = any (c.withdrew) and moved;
$$;

-- What users said of a photo's faces instead of whose they are.
create function memoria.mark_dismissed(p_face_ids uuid[]) returns void
language sql set search_path = '' as $$
  update memoria.faces set dismissed = said.kind
  from memoria.faces as face left join lateral (
    select kind from memoria.corrections
    where face_id = face.id and kind in ('no_face', 'nobody') and withdrawn_by is null
    offset 0  -- each by its key
  ) as said on true
  where face.id = any (p_face_ids) and faces.id = face.id and faces.dismissed is distinct from said.kind
$$;

-- The people whom a change names or moves faces between, as rows of memoria.persons.
create function memoria.people_of_change(c memoria.changes) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select who.id from (
      select c.person_id as id
      union select c.other_person_id
      union select split_part(key, '/', 2)::uuid from jsonb_object_keys(c.after) as key where key not like 'answer/%'
      union select unnest(people) from memoria.suggestions where id in (
        select split_part(key, '/', 2)::uuid from jsonb_object_keys(c.after) as key where key like 'answer/%'
      )
      union select split_part(key, '/', 3)::uuid from jsonb_object_keys(c.after) as key where key like 'apart/%'
      union select (value #>> '{}')::uuid from jsonb_each(c.before || c.after) where key like 'merged/%'
      union select (value #>> '{}')::uuid from jsonb_each(c.before) where key like 'merged/%'
      union select person_id from memoria.corrections where id = any (c.held || c.withdrew)
      union select was from memoria.corrections where id = any (c.held || c.withdrew)
    ) as named, lateral (
      select id, event_id from memoria.persons where persons.id = named.id
      offset 0  -- each by its key
    ) as who
    where who.event_id = c.event_id
  )
$$;

-- Makes a change true, whose corrections hold and are withdrawn already.
create function memoria.take_effect(c memoria.changes) returns void
language plpgsql set search_path = '' as $$
declare
  v_people uuid[] := memoria.people_of_change(c);
  v_value record;
begin
  for v_value in select key, value from jsonb_each(c.after) loop
    perform memoria.put_value(c, v_value.key, v_value.value);
  end loop;
  perform memoria.draw_faces(c);
  if c.applies then
    perform memoria.move_faces(c);
    v_people := v_people || memoria.people_of_change(c);
  else
    perform memoria.move_faces_back(c);
  end if;
  perform memoria.mark_dismissed(array(
    select face_id from memoria.corrections where id = any (c.held || c.withdrew)
  ));
  -- each by its key: one condition of three would be asked of everybody in all events
  v_people := array(
    select id from memoria.persons where id = any (v_people)
    union
    select id from memoria.persons where merged_into = any (v_people)
    union
    select merged_into from memoria.persons where id = any (v_people) and merged_into is not null
  );
  if cardinality(v_people) > 0 then  -- of nobody, a plan would look among the loose faces of all events
    update memoria.faces set person_id = memoria.root_of(identity_id)
    where identity_id = any (v_people) and person_id is distinct from memoria.root_of(identity_id);
  end if;
  insert into memoria.change_people (change_id, person_id)
  select c.id, id from unnest(v_people) as person (id) on conflict do nothing;
  perform memoria.people_changed(c.event_id, v_people);
  perform memoria.review_suggestions(c.event_id, v_people, memoria.faces_of_change(c));
end
$$;

-- The faces that people are shown by, as values.
create function memoria.shown_by(p_people uuid[]) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_object_agg('shown/' || id, representative_face_id), '{}')
  from memoria.persons where id = any (p_people)
$$;

-- Writes a change down and makes it true. Returns its id, or null where it changed nothing. What it reads lies
-- under keys, whatever the planner knows of the tables.
create function memoria.finish_change(c memoria.changes) returns bigint
language plpgsql set search_path = '' set enable_seqscan = off set jit = off as $$
declare
  v_people uuid[];
  v_shown jsonb;
begin
  if c.after = '{}' and cardinality(c.held || c.withdrew) = 0 then
    delete from memoria.changes where id = c.id;
    return null;
  end if;
  v_people := memoria.people_of_change(c);
  v_shown := memoria.shown_by(v_people);
  perform memoria.take_effect(c);
  if c.undoes is null then
    c.before := c.before || v_shown;
    c.after := c.after || memoria.shown_by(v_people);
  end if;
  update memoria.changes set
    kind = c.kind, person_id = c.person_id, other_person_id = c.other_person_id, faces = c.faces,
    undoes = c.undoes, root_id = c.root_id, applies = c.applies, before = c.before, after = c.after, held = c.held, withdrew = c.withdrew,
    touches = c.touches, relies_on = c.relies_on
  where id = c.id;
  return c.id;
end
$$;

-- What lists show of these people, after a correction: figures, covers, means, version.
create function memoria.people_changed(p_event_id text, p_people uuid[]) returns void
language plpgsql set search_path = '' as $$
begin
  perform memoria.refresh_people(p_people);
  perform memoria.refresh_centroids(p_people);
  perform memoria.touch_people(p_event_id);
end
$$;
