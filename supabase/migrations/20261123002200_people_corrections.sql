-- What users say of people. Every function locks the event, so that it never interleaves with a run's
-- saving, and acts on the person that users see: the root of whatever was merged.

create function memoria.refuse_unknown(p_what text) returns void
language plpgsql stable set search_path = '' as $$
begin
  if memoria.caller_is_trusted() then
    raise exception 'There is no such %.', p_what using errcode = 'PT404';
  end if;
  raise exception 'This % is not yours.', p_what using errcode = '42501';
end
$$;

-- The person under the event's lock. Raises 403, 404, or 409 where the event is archived.
create function memoria.lock_person(p_person_id uuid) returns memoria.persons
language plpgsql set search_path = '' as $$
declare
  v_person memoria.persons;
begin
  select * into v_person from memoria.persons where id = p_person_id;
  if not found then
    perform memoria.refuse_unknown('person');
  end if;
  perform memoria.lock_open_event(v_person.event_id);
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
  select * into v_face from memoria.faces where id = p_face_id;
  if not found then
    perform memoria.refuse_unknown('face');
  end if;
  perform memoria.lock_open_event(v_face.event_id);
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
  perform memoria.refresh_people(p_person.event_id);
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
begin
  perform memoria.say('reject', array[p_face_id], v_person.id);
  if v_face.person_id = v_person.id then
    v_face.person_id := null;
    update memoria.faces set identity_id = null, person_id = null where id = p_face_id;
  end if;
  perform memoria.note_change(v_person.event_id, 'rejected', v_person.id, null, 1);
  perform memoria.refresh_people(v_person.event_id);
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
    -- their faces were told apart before; now they are one
    delete from memoria.corrections
    where kind = 'reject' and memoria.root_of(person_id) in (v_into.id, v_from.id)
      and face_id in (select id from memoria.faces where person_id in (v_into.id, v_from.id));
    update memoria.persons set merged_into = v_into.id
    where v_from.id in (id, merged_into);
    update memoria.persons set name = coalesce(name, v_from.name) where id = v_into.id;
    update memoria.faces set person_id = v_into.id where person_id = v_from.id;
    perform memoria.note_change(v_into.event_id, 'merged', v_into.id, v_from.id, v_from.face_count);
    perform memoria.refresh_people(v_into.event_id);
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
  return jsonb_build_object('person_id', v_person.id, 'name', v_name);
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
  return jsonb_build_object('person_id', v_person.id, 'hidden', v_hidden);
end
$$;

-- The people of an event with their faces, largest first; no vectors. Named people stay in the list
-- when they have no faces.
create function public.memoria_people(p_event_id text) returns jsonb
language plpgsql stable security definer
set search_path = ''
set statement_timeout = '30s'
as $$
begin
  perform memoria.authorize_event(p_event_id);
  return (
    select jsonb_build_object('event_id', p_event_id, 'people', coalesce(jsonb_agg(jsonb_build_object(
      'person_id', persons.id, 'name', name, 'hidden', hidden, 'cluster_label', cluster_label,
      'face_count', face_count, 'representative_face_id', representative_face_id,
      'avg_quality', round(avg_quality::numeric, 4), 'created_at', persons.created_at,
      'faces', coalesce(found.faces, '[]')
    ) order by cluster_label nulls last, persons.created_at, persons.id), '[]'))
    from memoria.persons
    left join (
      select person_id, jsonb_agg(jsonb_build_object(
        'face_id', id, 'media_id', media_id, 'bbox', memoria.face_box(faces), 'quality_score', quality,
        'pinned', exists (
          select from memoria.corrections where face_id = faces.id and kind = 'pin'
        )
      ) order by quality desc, id) as faces
      from memoria.faces where event_id = p_event_id and person_id is not null group by person_id
    ) as found on found.person_id = persons.id
    where persons.event_id = p_event_id and merged_into is null
      and (found.faces is not null or name is not null)
  );
end
$$;

-- What happened to the people of an event, newest first, by runs (job_id) and by users.
create function public.memoria_person_changes(p_event_id text, p_limit integer default 100) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
begin
  perform memoria.authorize_event(p_event_id);
  return (
    select jsonb_build_object('event_id', p_event_id, 'changes', coalesce(jsonb_agg(jsonb_build_object(
      'kind', kind, 'person_id', person_id, 'other_person_id', other_person_id, 'faces', faces,
      'job_id', job_id, 'created_at', created_at
    ) order by id desc), '[]'))
    from (
      select * from memoria.person_changes where event_id = p_event_id
      order by id desc limit least(greatest(p_limit, 1), 1000)
    ) as latest
  );
end
$$;

revoke all on all functions in schema memoria from public, anon, authenticated, service_role;
revoke all on function
  public.memoria_assign_face(uuid, uuid),
  public.memoria_reject_face(uuid, uuid),
  public.memoria_merge_people(uuid, uuid),
  public.memoria_split_person(uuid, uuid[]),
  public.memoria_rename_person(uuid, text),
  public.memoria_hide_person(uuid, boolean),
  public.memoria_people(text),
  public.memoria_person_changes(text, integer)
from public, anon;
grant execute on function
  public.memoria_assign_face(uuid, uuid),
  public.memoria_reject_face(uuid, uuid),
  public.memoria_merge_people(uuid, uuid),
  public.memoria_split_person(uuid, uuid[]),
  public.memoria_rename_person(uuid, text),
  public.memoria_hide_person(uuid, boolean),
  public.memoria_people(text),
  public.memoria_person_changes(text, integer)
to authenticated, service_role;
