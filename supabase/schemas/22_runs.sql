-- A run: faces in packed pages and people with what users said of them; and back in one transaction
-- under the event's lock, in which whatever users corrected, merged or deleted meanwhile wins.

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
      and embedding is not null and dismissed is null
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
    'total', case when p_after is null then (
      select count(*) from memoria.faces
      where event_id = p_event_id and embedding is not null and dismissed is null
    ) end,
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
  where event_id = p_event_id and kind = p_kind and withdrawn_by is null and face_id is not null
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
        'person_id', id, 'name', name, 'hidden', hidden, 'nobody', nobody, 'merged_into', merged_into,
        'created_at', created_at, 'model', model,
        'centroid', encode(substring(extensions.vector_send(centroid) from 5), 'base64')
      ) order by created_at, id), '[]')
      from memoria.persons where event_id = p_event_id
    ),
    'pins', memoria.said('pin', p_event_id),
    'rejections', memoria.said('reject', p_event_id),
    'covers', memoria.said('cover', p_event_id),
    'apart', (
      select coalesce(jsonb_agg(jsonb_build_array(one_id, other_id) order by one_id, other_id), '[]')
      from memoria.distinct_people where event_id = p_event_id
    ),
    'forgettings', (
      select count(*) from memoria.changes where event_id = p_event_id and kind = 'forgotten'
    )
  )
$$;

-- A correction keeps the place of its face, to know it again if a model misses it once.
create function memoria.note_places(p_event_id text) returns void
language sql set search_path = '' as $$
  update memoria.corrections as said
  set x = faces.x, y = faces.y, w = faces.w, h = faces.h
  from memoria.faces
  where said.event_id = p_event_id and faces.id = said.face_id
    and (said.x, said.y, said.w, said.h) <> (faces.x, faces.y, faces.w, faces.h)
$$;

create function memoria.apply_rejections(p_event_id text) returns void
language sql set search_path = '' as $$
  update memoria.faces
  set identity_id = null
  from memoria.corrections as said
  where said.event_id = p_event_id and said.kind = 'reject' and said.withdrawn_by is null
    and faces.id = said.face_id
    and memoria.root_of(faces.identity_id) = memoria.root_of(said.person_id)
$$;

create function memoria.apply_pins(p_event_id text) returns void
language sql set search_path = '' as $$
  update memoria.faces
  set identity_id = said.person_id
  from (
    select distinct on (face_id) face_id, person_id
    from memoria.corrections
    where event_id = p_event_id and kind = 'pin' and withdrawn_by is null
    order by face_id, id desc
  ) as said
  where faces.id = said.face_id
    and memoria.root_of(faces.identity_id) is distinct from memoria.root_of(said.person_id)
$$;

create function memoria.apply_dismissals(p_event_id text) returns void
language plpgsql set search_path = '' as $$
begin
  perform memoria.mark_dismissed(array(
    select face_id from memoria.corrections
    where event_id = p_event_id and kind in ('no_face', 'nobody') and face_id is not null
  ));
  update memoria.faces set identity_id = null
  where event_id = p_event_id and dismissed is not null and identity_id is not null;
end
$$;

-- What people see from what the machine says.
create function memoria.show_people(p_event_id text) returns void
language sql set search_path = '' as $$
  update memoria.faces
  set person_id = coalesce(persons.merged_into, persons.id)
  from memoria.faces as seen left join memoria.persons on persons.id = seen.identity_id
  where faces.event_id = p_event_id and seen.id = faces.id
    and faces.person_id is distinct from coalesce(persons.merged_into, persons.id)
$$;

-- What users said, onto the faces as a run leaves them.
create function memoria.apply_corrections(p_event_id text) returns void
language plpgsql set search_path = '' as $$
begin
  perform memoria.note_places(p_event_id);
  perform memoria.apply_rejections(p_event_id);
  perform memoria.apply_pins(p_event_id);
  perform memoria.apply_dismissals(p_event_id);
  perform memoria.show_people(p_event_id);
end
$$;

-- Whom users changed since the run was claimed: it may not know that they were named, told apart from
-- somebody, or are no longer merged. Their faces stay theirs; the next run knows.
create function memoria.changed_since(p_event_id text, p_since timestamptz) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select distinct change_people.person_id
    from memoria.changes join memoria.change_people on change_people.change_id = changes.id
    where changes.event_id = p_event_id and changes.before is not null and changes.created_at > p_since
  )
$$;

-- Faces of which a user took back, since the run was claimed, whose they are: they stay as they are.
create function memoria.released_since(p_event_id text, p_since timestamptz) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select said.face_id
    from memoria.changes join memoria.corrections as said on said.withdrawn_by = changes.id
    where changes.event_id = p_event_id and changes.created_at > p_since and said.kind = 'pin'
  )
$$;

-- Who is in which group, with the people made who are new. A person that a user forgot since the run
-- loaded them does not come back: their group becomes a stranger's. p_kept: whose faces stay; p_released: faces
-- that stay.
create function memoria.store_groups(p_event_id text, p_groups jsonb, p_kept uuid[], p_released uuid[]) returns void
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

  -- what people see at once with it: written twice, each face would enter its six indexes twice
  update memoria.faces
  set identity_id = persons.id, person_id = coalesce(persons.merged_into, persons.id)
  from pg_temp.saved_groups join memoria.persons on persons.id = saved_groups.person_id,
    jsonb_array_elements_text(body -> 'face_ids') as face (id)
  where faces.id = face.id::uuid and faces.event_id = p_event_id
    and faces.identity_id is distinct from persons.id
    and (faces.identity_id = any (p_kept)) is not true and faces.id <> all (p_released);

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

-- Faces that are in no group. Those that came since the run loaded are in neither list: the next run
-- looks at them. p_kept: whose faces stay.
create function memoria.store_nobody(p_event_id text, p_face_ids jsonb, p_kept uuid[]) returns void
language sql set search_path = '' as $$
  update memoria.faces set identity_id = null, person_id = null
  from jsonb_array_elements_text(p_face_ids) as face (id)
  where faces.id = face.id::uuid and faces.event_id = p_event_id and identity_id is not null
    and identity_id <> all (p_kept)
$$;

-- Figures, labels and means of everybody, from whose the faces are now.
create function memoria.settle_people(p_event_id text) returns void
language plpgsql set search_path = '' as $$
begin
  perform memoria.drop_empty_people(memoria.people_of_event(p_event_id));
  perform memoria.refresh_people(memoria.people_of_event(p_event_id));
  perform memoria.relabel_people(p_event_id);
  -- who has no faces now is known again by the mean of those that went
  perform memoria.refresh_centroids(array(
    select distinct identity_id from memoria.faces where event_id = p_event_id and identity_id is not null
  ));
end
$$;

create function memoria.clusters_of(p_event_id text) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'cluster_label', cluster_label, 'person_id', id, 'face_count', face_count,
    'representative_face_id', representative_face_id, 'avg_quality', round(avg_quality::numeric, 4)
  ) order by cluster_label), '[]')
  from memoria.persons where event_id = p_event_id and face_count > 0
$$;

-- What a run says of the event, apart from its job. pending: photos under way; complete: every photo
-- that is done is grouped.
create function memoria.people_summary(p_event_id text) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'total_faces', count(*),
    'clusters_created', count(distinct person_id),
    'noise_faces', count(*) filter (where person_id is null),
    'clusters', memoria.clusters_of(p_event_id),
    'pending', (select count(*) from memoria.media where event_id = p_event_id and status = 'pending'),
    'complete', (
      select ungrouped_since is null and not exists (
        select from memoria.media where event_id = p_event_id and status = 'pending'
      )
      from memoria.events where id = p_event_id
    )
  )
  from memoria.faces where event_id = p_event_id
$$;

-- What a run did to these people, in the log: whom a user forgot meanwhile it does not name again, and whose
-- faces stayed (p_kept) it did nothing to.
create function memoria.note_run(p_job memoria.jobs, p_people uuid[], p_kept uuid[], p_changes jsonb) returns void
language sql set search_path = '' as $$
  with noted as (
    insert into memoria.changes (event_id, job_id, kind, person_id, other_person_id, faces)
    select p_job.event_id, p_job.id, kind, person_id, other_person_id, faces
    from jsonb_to_recordset(p_changes)
      as change (kind text, person_id uuid, other_person_id uuid, faces integer)
    where person_id = any (p_people) and (other_person_id is null or other_person_id = any (p_people))
      and person_id <> all (p_kept) and (other_person_id = any (p_kept)) is not true
    returning id, person_id, other_person_id
  )
  insert into memoria.change_people (change_id, person_id)
  select id, person_id from noted
  union
  select id, other_person_id from noted where other_person_id is not null
$$;

-- The event has its people: when, after how long, and how many runs in a row looked while photos were to come.
create function memoria.note_grouped(p_event_id text, p_seconds real) returns void
language sql set search_path = '' as $$
  update memoria.events set
    clustered_at = now(), people_version = people_version + 1,
    last_run_seconds = coalesce(p_seconds, 0),
    incomplete_runs = case
      when exists (select from memoria.media where event_id = p_event_id and status = 'pending')
        then incomplete_runs + 1
      else 0
    end
  where id = p_event_id
$$;

create function memoria.announce_people(p_event_id text, p_summary jsonb, p_photos jsonb) returns void
language sql set search_path = '' as $$
  select memoria.broadcast(p_event_id, 'people', jsonb_build_object(
    'people', (memoria.people_counts(p_event_id)).shown, 'faces', p_summary -> 'total_faces',
    'complete', p_summary -> 'complete', 'photos', p_photos,
    'clustered_at', clustered_at, 'version', people_version
  ))
  from memoria.events where id = p_event_id
$$;

create function public.memoria_save_people(p_job_id uuid, p_token uuid, p_result jsonb) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '120s'
as $$
declare
  v_job memoria.jobs := memoria.lock_run(p_job_id, p_token);
  v_kept uuid[];
  v_everybody uuid[];  -- also who has no faces left
  v_summary jsonb;
  v_photos jsonb;
begin
  if v_job.id is null or v_job.kind <> 'cluster' then
    return memoria.why_lost(p_job_id);
  end if;
  v_kept := memoria.changed_since(v_job.event_id, v_job.started_at);
  perform memoria.store_groups(
    v_job.event_id, p_result -> 'groups', v_kept, memoria.released_since(v_job.event_id, v_job.started_at)
  );
  v_everybody := memoria.people_of_event(v_job.event_id);
  perform memoria.store_nobody(v_job.event_id, p_result -> 'nobody', v_kept);
  perform memoria.apply_corrections(v_job.event_id);
  perform memoria.settle_people(v_job.event_id);
  perform memoria.note_run(v_job, v_everybody, v_kept, p_result -> 'changes');
  perform memoria.store_suggestions(v_job.event_id, coalesce(p_result -> 'suggestions', '[]'));
  perform memoria.note_grouped(v_job.event_id, (p_result ->> 'processing_time_seconds')::real);
  v_summary := memoria.people_summary(v_job.event_id);
  v_photos := memoria.photo_counts(v_job.event_id);
  perform memoria.announce_people(v_job.event_id, v_summary, v_photos);
  return v_summary || jsonb_build_object(
    'outcome', 'stored',
    'callback_job_id', memoria.finish_job(v_job, v_summary || jsonb_build_object(
      'job_id', v_job.id, 'event_id', v_job.event_id, 'photos', v_photos,
      'processing_time_seconds', p_result -> 'processing_time_seconds', 'status', 'completed'
    ))
  );
end
$$;
