-- Writing a run back: one transaction under the event's lock, in which whatever users corrected,
-- merged or deleted since the run loaded its faces wins.

-- Pins and rejections onto the faces as they are, and what people see from what the machine says.
create function memoria.apply_corrections(p_event_id text) returns void
language plpgsql set search_path = '' as $$
begin
  -- a correction keeps the place of its face, to know it again if a model misses it once
  update memoria.corrections as said
  set x = faces.x, y = faces.y, w = faces.w, h = faces.h
  from memoria.faces
  where said.event_id = p_event_id and faces.id = said.face_id
    and (said.x, said.y, said.w, said.h) <> (faces.x, faces.y, faces.w, faces.h);
  update memoria.faces
  set identity_id = null
  from memoria.corrections as said
  where said.event_id = p_event_id and said.kind = 'reject' and faces.id = said.face_id
    and memoria.root_of(faces.identity_id) = memoria.root_of(said.person_id);
  update memoria.faces
  set identity_id = said.person_id
  from (
    select distinct on (face_id) face_id, person_id
    from memoria.corrections
    where event_id = p_event_id and kind = 'pin'
    order by face_id, id desc
  ) as said
  where faces.id = said.face_id
    and memoria.root_of(faces.identity_id) is distinct from memoria.root_of(said.person_id);
  update memoria.faces
  set person_id = coalesce(persons.merged_into, persons.id)
  from memoria.faces as seen left join memoria.persons on persons.id = seen.identity_id
  where faces.event_id = p_event_id and seen.id = faces.id
    and faces.person_id is distinct from coalesce(persons.merged_into, persons.id);
end
$$;

-- People whom no user ever touched and who have no faces left go, and their vectors with them.
create function memoria.drop_empty_people(p_event_id text) returns void
language sql set search_path = '' as $$
  delete from memoria.persons
  where event_id = p_event_id
    and name is null and not hidden and merged_into is null
    and not exists (select from memoria.faces where identity_id = persons.id)
    and not exists (select from memoria.persons as merged where merged.merged_into = persons.id)
    and not exists (select from memoria.corrections where person_id = persons.id)
$$;

-- The figures of people, from their faces. A representative that is no longer theirs gives way to
-- their best face. Labels count from 0, largest person first.
create function memoria.refresh_people(p_event_id text) returns void
language sql set search_path = '' as $$
  with figures as (
    select
      persons.id,
      count(faces.id) as face_count,
      avg(faces.quality) as avg_quality,
      coalesce(
        min(faces.id::text) filter (where faces.id = persons.representative_face_id)::uuid,
        (array_agg(faces.id order by faces.quality desc, faces.id))[1]
      ) as representative_face_id,
      case when count(faces.id) > 0 then
        row_number() over (order by count(faces.id) desc, persons.created_at, persons.id) - 1
      end as cluster_label
    from memoria.persons left join memoria.faces on faces.person_id = persons.id
    where persons.event_id = p_event_id
    group by persons.id
  )
  update memoria.persons
  set face_count = figures.face_count,
    avg_quality = figures.avg_quality,
    representative_face_id = figures.representative_face_id,
    cluster_label = figures.cluster_label
  from figures
  where persons.id = figures.id
    and (persons.face_count, persons.avg_quality, persons.representative_face_id, persons.cluster_label)
      is distinct from (figures.face_count, figures.avg_quality::real, figures.representative_face_id,
        figures.cluster_label::integer)
$$;

-- Who is in which group, with the people made who are new. A person that a user forgot since the run
-- loaded them does not come back: their group becomes a stranger's.
create function memoria.store_groups(p_event_id text, p_groups jsonb) returns void
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
    and faces.identity_id is distinct from saved_groups.person_id;

  -- of several groups that are one person, the largest shows its face
  update memoria.persons
  set representative_face_id = (body ->> 'representative_face_id')::uuid
  from (
    select distinct on (memoria.root_of(person_id)) memoria.root_of(person_id) as root, body
    from pg_temp.saved_groups
    order by memoria.root_of(person_id), jsonb_array_length(body -> 'face_ids') desc, position
  ) as largest
  where persons.id = largest.root and persons.event_id = p_event_id;

  update memoria.persons
  set model = body ->> 'model', centroid = (body ->> 'centroid')::extensions.vector
  from pg_temp.saved_groups
  where persons.id = saved_groups.person_id and persons.event_id = p_event_id;
  drop table pg_temp.saved_groups;
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

create function public.memoria_save_people(p_job_id uuid, p_token uuid, p_result jsonb) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '120s'
as $$
declare
  v_job memoria.jobs;
  v_answer jsonb;
begin
  v_job := memoria.lock_run(p_job_id, p_token);
  if v_job.id is null or v_job.kind <> 'cluster' then
    return memoria.why_lost(p_job_id);
  end if;

  perform memoria.store_groups(v_job.event_id, p_result -> 'groups');
  -- faces that came since the run loaded are in neither list: the next run looks at them
  update memoria.faces set identity_id = null
  from jsonb_array_elements_text(p_result -> 'nobody') as face (id)
  where faces.id = face.id::uuid and faces.event_id = v_job.event_id and identity_id is not null;
  perform memoria.apply_corrections(v_job.event_id);
  perform memoria.drop_empty_people(v_job.event_id);
  perform memoria.refresh_people(v_job.event_id);
  insert into memoria.person_changes (event_id, job_id, kind, person_id, other_person_id, faces)
  select v_job.event_id, v_job.id, kind, person_id, other_person_id, faces
  from jsonb_to_recordset(p_result -> 'changes')
    as change (kind text, person_id uuid, other_person_id uuid, faces integer);
  update memoria.events set clustered_at = now() where id = v_job.event_id;

  select jsonb_build_object(
    'job_id', v_job.id, 'event_id', v_job.event_id,
    'total_faces', count(*),
    'clusters_created', count(distinct person_id),
    'noise_faces', count(*) filter (where person_id is null),
    'clusters', memoria.clusters_of(v_job.event_id),
    'processing_time_seconds', p_result -> 'processing_time_seconds',
    'status', 'completed'
  ) into v_answer
  from memoria.faces where event_id = v_job.event_id;
  return v_answer - '{job_id,event_id,processing_time_seconds,status}'::text[] || jsonb_build_object(
    'outcome', 'stored', 'callback_job_id', memoria.finish_job(v_job, v_answer)
  );
end
$$;

revoke all on all functions in schema memoria from public, anon, authenticated, service_role;
revoke all on function public.memoria_save_people(uuid, uuid, jsonb) from public, anon, authenticated;
grant execute on function public.memoria_save_people(uuid, uuid, jsonb) to service_role;
