-- Reading an event for a run: faces in packed pages, people with what users said of them.

-- The person that people see: merges made by users are kept one level deep.
create function memoria.root_of(p_person_id uuid) returns uuid
language sql stable set search_path = '' as $$
  select coalesce(merged_into, id) from memoria.persons where id = p_person_id
$$;

-- One page of faces, ascending by id: one value per column, packed big-endian, so that 20,000 faces
-- are ten values and not 10 million numbers.
create function public.memoria_load_faces(
  p_event_id text, p_after uuid default null, p_limit integer default 2000
) returns jsonb
language sql stable security definer
set search_path = ''
set statement_timeout = '60s'
as $$
  with page as materialized (
    select id, media_id, identity_id, quality, model, embedding
    from memoria.faces
    where event_id = p_event_id
      and embedding is not null
      and id > coalesce(p_after, '00000000-0000-0000-0000-000000000000')
    order by id
    limit least(greatest(p_limit, 1), 10000)
  ), models as materialized (
    select model, row_number() over (order by model) - 1 as index
    from (select distinct model from page) as used
  ), packed as (
    select
      count(*) as count,
      (array_agg(id order by id desc))[1] as last,
      string_agg(uuid_send(id), '' order by id) as faces,
      string_agg(int8send(hashtextextended(media_id, 0)), '' order by id) as photos,
      string_agg(
        uuid_send(coalesce(identity_id, '00000000-0000-0000-0000-000000000000')), '' order by id
      ) as identities,
      string_agg(float4send(quality), '' order by id) as quality,
      string_agg(set_byte('\x00', 0, index::integer), '' order by id) as model_index,
      -- pgvector sends two 16-bit numbers, its dimensions and a reserved one, before the values
      string_agg(substring(extensions.vector_send(embedding) from 5), '' order by id) as vectors
    from page join models using (model)
  )
  select jsonb_build_object(
    'total', (
      select count(*) from memoria.faces where event_id = p_event_id and embedding is not null
    ),
    'count', count,
    'next', case when count >= least(greatest(p_limit, 1), 10000) then last end,
    'models', (select coalesce(jsonb_agg(model order by index), '[]') from models),
    'faces', encode(faces, 'base64'),
    'photos', encode(photos, 'base64'),
    'identities', encode(identities, 'base64'),
    'quality', encode(quality, 'base64'),
    'model_index', encode(model_index, 'base64'),
    'vectors', encode(vectors, 'base64')
  )
  from packed
$$;

-- What users said of faces, in the order in which they said it.
create function memoria.said(p_kind text, p_event_id text) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(
    jsonb_agg(jsonb_build_object('face_id', face_id, 'person_id', person_id) order by id), '[]'
  )
  from memoria.corrections
  where event_id = p_event_id and kind = p_kind and face_id is not null
$$;

-- Everybody known, oldest first, with what users said: in one value, from one snapshot.
create function public.memoria_load_people(p_event_id text) returns jsonb
language sql stable security definer
set search_path = ''
set statement_timeout = '60s'
as $$
  select jsonb_build_object(
    'people', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'person_id', id, 'name', name, 'hidden', hidden, 'merged_into', merged_into,
        'created_at', created_at, 'model', model,
        'centroid', encode(substring(extensions.vector_send(centroid) from 5), 'base64')
      ) order by created_at, id), '[]')
      from memoria.persons where event_id = p_event_id
    ),
    'pins', memoria.said('pin', p_event_id),
    'rejections', memoria.said('reject', p_event_id)
  )
$$;

revoke all on all functions in schema memoria from public, anon, authenticated, service_role;
revoke all on function public.memoria_load_faces(text, uuid, integer) from public, anon, authenticated;
grant execute on function public.memoria_load_faces(text, uuid, integer) to service_role;
revoke all on function public.memoria_load_people(text) from public, anon, authenticated;
grant execute on function public.memoria_load_people(text) to service_role;
