-- Functions of the last release that nothing here asks any more, but a call that is under way while a migration
-- is applied: it goes on with the body that it began with. The next release drops them.

create function memoria.lock_events_of(p_rows memoria.handed[], p_source text) returns void
language sql set search_path = '' as $$
  select from memoria.events
  where id in (
    select unnest(array[media.event_id, given.event_id])
    from unnest(p_rows) as given join memoria.media on media.id = given.media_id
    where (media.event_id, media.bucket, media.path, media.preview_path, media.source)
        is distinct from (given.event_id, given.bucket, given.path, given.preview_path, p_source)
      or (p_source is null and media.status <> 'completed')
  )
  order by id for no key update
$$;

create function memoria.store_groups(p_event_id text, p_groups jsonb, p_kept uuid[]) returns void
language plpgsql set search_path = '' as $$
begin
  create temporary table saved_groups on commit drop as
  select
    case
      when (body ->> 'is_new')::boolean is not true and not exists (
        select from memoria.persons
        where id = (body ->> 'person_id')::uuid and event_id = p_event_id
      ) then gen_random_uuid()
      else (body ->> 'person_id')::uuid
    end as person_id,
    position,
    body
  from jsonb_array_elements(p_groups) with ordinality as groups (body, position);

  insert into memoria.persons (id, event_id, created_at)
  -- so that people made by one run keep their order
  select person_id, p_event_id, now() + position * interval '1 microsecond'
  from pg_temp.saved_groups
  on conflict (id) do nothing;

  update memoria.faces
  set identity_id = saved_groups.person_id
  from pg_temp.saved_groups, jsonb_array_elements_text(body -> 'face_ids') as face (id)
  where faces.id = face.id::uuid and faces.event_id = p_event_id
    and faces.identity_id is distinct from saved_groups.person_id
    and (faces.identity_id = any (p_kept)) is not true;

  -- of several groups that are one person, the largest shows its face
  update memoria.persons
  set representative_face_id = (body ->> 'representative_face_id')::uuid
  from (
    select distinct on (memoria.root_of(person_id)) memoria.root_of(person_id) as root, body
    from pg_temp.saved_groups
    order by memoria.root_of(person_id), jsonb_array_length(body -> 'face_ids') desc, position
  ) as largest
  where persons.id = largest.root and persons.event_id = p_event_id;
  drop table pg_temp.saved_groups;
end
$$;

create function memoria.evidence_item(p_pair jsonb) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'face_id', one.id, 'media_id', one.media_id, 'bbox', memoria.face_box(one),
    'other_face_id', other.id, 'other_media_id', other.media_id, 'other_bbox', memoria.face_box(other),
    'similarity', p_pair -> 'similarity'
  )
  from memoria.faces as one, memoria.faces as other
  where one.id = (p_pair ->> 'face_id')::uuid and other.id = (p_pair ->> 'other_face_id')::uuid
$$;
