-- 0.2.2.

-- Nobody waits behind this: it takes its locks when nothing of Memoria is at work.
do $$
begin
  for v_try in 1..600 loop
    begin
      lock table memoria.events in access exclusive mode nowait;
      return;
    exception when lock_not_available then
      perform pg_sleep(0.1);
    end;
  end loop;
  raise exception 'Memoria is at work: try again.' using errcode = '55P03';
end
$$;

-- Photos of which somebody was forgotten who had been drawn there: a drawn face was never counted, but was taken off.
update memoria.media set faces_detected = found.faces
from (select media_id, count(*) filter (where detected) as faces from memoria.faces group by media_id) as found
where found.media_id = media.id and faces_detected < found.faces;
update memoria.media set faces_detected = 0 where faces_detected < 0;

-- What a user said of an event that is not theirs ends when a followed table names its owner. Neither of these was
-- kept until now; where an event is still its maker's, it was the maker:
--   archive_time_by: who set the time at which it is archived
--   archived_by: who archived it
do $$
begin
  if not exists (
    select from pg_attribute where attrelid = 'memoria.events'::regclass and attname = 'archived_by'
  ) then
    alter table memoria.events add column archive_time_by uuid, add column archived_by uuid;
    update memoria.events set
      archive_time_by = case when archive_at is not null then made_by end,
      archived_by = case when status = 'archived' then made_by end
    where made_by = owner_id and (archive_at is not null or status = 'archived');
  end if;
end
$$;

-- Who owns an event needs no other role, and keeps none when it is given away.
delete from memoria.members using memoria.events where events.id = event_id and events.owner_id = user_id;

-- Who was let in by somebody who has left since counts as let in by the owner: until now nobody passed that on. Not in
-- an event that somebody else made, who may have let them in.
update memoria.members set added_by = events.owner_id
from memoria.events
where events.id = members.event_id and members.added_by is not null
  and members.added_by is distinct from events.owner_id
  and (events.made_by is null or events.made_by = events.owner_id)
  and not exists (
    select from memoria.members as inviter
    where inviter.event_id = members.event_id and inviter.user_id = members.added_by
  );

-- Functions that changed: written by python -m local.changes.
drop function if exists memoria.evidence_item(jsonb);

drop function if exists memoria.ids_of(uuid);

drop function if exists memoria.lock_events_of(memoria.handed[],text);

drop function if exists memoria.retry_rows(text,bigint[]);

drop function if exists memoria.rows_now(text,text[]);

drop function if exists memoria.store_groups(text,jsonb,uuid[]);

-- Locks an event for a change that the caller may make, before and after waiting for it. Raises 404.
create or replace function memoria.lock_event_for(p_event_id text, p_right text, p_what text default 'event')
returns memoria.events
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events;
begin
  perform memoria.authorize(p_event_id, p_right, p_what);
  v_event := memoria.lock_event(p_event_id);
  if v_event.id is null then
    perform memoria.refuse_unknown(p_what);
  end if;
  perform memoria.authorize(p_event_id, p_right, p_what);
  return v_event;
end
$$;

create or replace function memoria.note_changed_jobs() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  v_kinds text[];
  v_ended text[];
begin
  -- what each job was and is, side by side without a join: the plan is kept, and one for few rows never ends for many
  select
    array_agg(distinct kind) filter (
      where status = 'queued' or was in ('dispatched', 'running') and status not in ('dispatched', 'running')
    ),
    array_agg(distinct event_id) filter (
      where kind = 'cluster' and was in ('dispatched', 'running') and status in ('completed', 'failed', 'cancelled')
    )
  into v_kinds, v_ended
  from (
    select
      max(kind) as kind, max(event_id) filter (where is_now) as event_id,
      max(status) filter (where is_now) as status, max(status) filter (where not is_now) as was
    from (
      select id, kind, event_id, status, true as is_now from changed
      union all
      select id, kind, event_id, status, false from former
    ) as states
    group by id
  ) as turned;
  insert into memoria.arrivals (kind, waiting, event_id, due_at)
  select kind, waiting, event_id, min(run_after)
  from changed where status = 'queued' group by 1, 2, 3
  union all
  -- the run that waits behind one that has ended
  select 'cluster', false, ended, clock_timestamp() from unnest(v_ended) as ended;
  perform memoria.wake(kind) from unnest(v_kinds) as kind;
  return null;
end
$$;

-- The ids that are these people: theirs, and of whom was merged into them. Each by its key.
create or replace function memoria.ids_of(p_people uuid[]) returns uuid[]
language sql stable set search_path = '' set enable_seqscan = off as $$
  select array(
    select id from memoria.persons where id = any (p_people)
    union
    select id from memoria.persons where merged_into = any (p_people)
  )
$$;

revoke all on function memoria.ids_of(uuid[]) from public, anon, authenticated, service_role;

-- Of these people, those go who have no faces left and whom no user touched, or nothing of that can be
-- taken back any more.
create or replace function memoria.drop_empty_people(p_people uuid[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_event_id constant text := (select event_id from memoria.persons where id = any (p_people) limit 1);
  v_gone uuid[];
begin
  with gone as (
    delete from memoria.persons
    where id = any (p_people)
      and name is null and not hidden and merged_into is null
      and not exists (select from memoria.faces where identity_id = persons.id)
      and not exists (select from memoria.persons as merged where merged.merged_into = persons.id)
      and not exists (select from memoria.corrections where person_id = persons.id)
      and not exists (
        select from memoria.distinct_people where one_id = persons.id
        union all
        select from memoria.distinct_people where other_id = persons.id
      )
      and not exists (
        select from memoria.change_people join memoria.changes on changes.id = change_people.change_id
        where change_people.person_id = persons.id and changes.before is not null
      )
    returning id
  )
  select array(select id from gone) into v_gone;
  -- an id that a later run makes again may be somebody else: no search answers with it. A statement
  -- of its own, which sees what a search noted that the deletion waited for.
  if cardinality(v_gone) > 0 then
    update memoria.searches
    set people = array(select person from unnest(people) as person where person <> all (v_gone))
    where event_id = v_event_id and people && v_gone;
  end if;
end
$$;

-- The id of a face that was not there before: the same photo, picture and box give the same id, so that a
-- result written twice by mistake cannot make two faces. A face on another picture in its place is another one,
-- whoever still knows the id of the first: a run, a search. p_turn parts boxes that round to the same.
create or replace function memoria.new_face_id(
  p_media_id text, p_digest text, x real, y real, w real, h real, p_turn bigint
) returns uuid
language sql immutable set search_path = '' as $$
  select encode(substring(sha256(convert_to(
    concat_ws('|', p_media_id, p_digest, round(x::numeric, 4), round(y::numeric, 4),
      round(w::numeric, 4), round(h::numeric, 4), p_turn),
    'UTF8'
  )) from 1 for 16), 'hex')::uuid
$$;

revoke all on function memoria.new_face_id(text,text,real,real,real,real,bigint) from public, anon, authenticated, service_role;

-- The ids of a result's faces in their order: of who is known theirs, of who is forgotten null, of the
-- others the first that no stored face bears and no face before it took.
create or replace function memoria.face_ids(p_media memoria.media, p_digest text, p_faces jsonb) returns uuid[]
language plpgsql stable set search_path = '' as $$
declare
  v_face record;
  v_ids uuid[] := '{}';
  v_id uuid;
  v_turn bigint;
begin
  for v_face in
    select new.n, new.x, new.y, new.w, new.h, matched.n is not null as known, matched.face_id
    from memoria.parsed_faces(p_faces) as new
    left join memoria.matched_faces(p_media, p_digest, p_faces) as matched using (n)
    order by new.n
  loop
    v_id := v_face.face_id;
    if not v_face.known then
      v_turn := 0;
      loop
        v_turn := v_turn + 1;
        v_id := memoria.new_face_id(
          p_media.id, p_digest, v_face.x, v_face.y, v_face.w, v_face.h, v_turn
        );
        exit when v_id <> all (array_remove(v_ids, null))
          and not exists (select from memoria.faces where id = v_id);
      end loop;
    end if;
    v_ids := v_ids || v_id;
  end loop;
  return v_ids;
end
$$;

-- What users said was of the picture that lay here before, but for the faces that they drew on the one now.
create or replace function memoria.forget_picture(p_media memoria.media) returns void
language sql set search_path = '' as $$
  delete from memoria.corrections as said
  where media_id = p_media.id and not exists (
    select from memoria.corrections as drawn
    where drawn.face_id = said.face_id and drawn.kind = 'drawn' and drawn.created_at > p_media.placed_at
      -- of an object that was overwritten in its place nobody knows when
      and p_media.placed_at > p_media.looked_at
    offset 0  -- each by its key
  )
$$;

revoke all on function memoria.forget_picture(memoria.media) from public, anon, authenticated, service_role;

-- Replaces the stored faces of a photo by those of a result. Returns the id of each in order, null
-- for who is forgotten.
create or replace function memoria.replace_faces(p_media memoria.media, p_result jsonb) returns uuid[]
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[] := memoria.face_ids(p_media, p_result ->> 'digest', p_result -> 'faces');
begin
  if p_media.digest <> p_result ->> 'digest' then
    perform memoria.forget_picture(p_media);
  end if;
  delete from memoria.faces where media_id = p_media.id and id <> all (array_remove(v_ids, null))
    and not exists (
      select from memoria.corrections as said
      where said.face_id = faces.id and said.kind = 'drawn' and said.withdrawn_by is null
      offset 0  -- each by its key
    );
  insert into memoria.faces (
    id, event_id, media_id, media_number, x, y, w, h, landmarks, score, quality, model, embedding
  )
  select
    v_ids[n], p_media.event_id, p_media.id, p_media.number, x, y, w, h, landmarks, score, quality,
    p_result ->> 'model', embedding
  from memoria.parsed_faces(p_result -> 'faces') where v_ids[n] is not null
  on conflict (id) do update set
    x = excluded.x, y = excluded.y, w = excluded.w, h = excluded.h, landmarks = excluded.landmarks,
    score = excluded.score, quality = excluded.quality, model = excluded.model, embedding = excluded.embedding,
    detected = true;
  perform memoria.read_drawn(p_media, p_result, v_ids);
  -- corrections outlive the rows they were made on: they follow the box
  update memoria.corrections set face_id = faces.id
  from memoria.faces
  where corrections.media_id = p_media.id and faces.media_id = p_media.id
    and not exists (select from memoria.faces as old where old.id = corrections.face_id)
    and memoria.iou(
      faces.x, faces.y, faces.w, faces.h, corrections.x, corrections.y, corrections.w, corrections.h
    ) >= 0.5;
  perform memoria.mark_dismissed(array(select id from memoria.faces where media_id = p_media.id));
  return v_ids;
end
$$;

-- One page of faces, ascending by id: one value per column, packed big-endian, so that 20,000 faces
-- are ten values and not 10 million numbers.
create or replace function public.memoria_load_faces(
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

-- Who is in which group, with the people made who are new. A person that a user forgot since the run
-- loaded them does not come back: their group becomes a stranger's. p_kept: whose faces stay; p_released: faces
-- that stay.
create or replace function memoria.store_groups(p_event_id text, p_groups jsonb, p_kept uuid[], p_released uuid[]) returns void
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
create or replace function memoria.store_nobody(p_event_id text, p_face_ids jsonb, p_kept uuid[]) returns void
language sql set search_path = '' as $$
  update memoria.faces set identity_id = null, person_id = null
  from jsonb_array_elements_text(p_face_ids) as face (id)
  where faces.id = face.id::uuid and faces.event_id = p_event_id and identity_id is not null
    and identity_id <> all (p_kept)
$$;

create or replace function memoria.put_value(p_change memoria.changes, p_key text, p_value jsonb) returns void
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

-- What users said of a photo's faces instead of whose they are.
create or replace function memoria.mark_dismissed(p_face_ids uuid[]) returns void
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
create or replace function memoria.people_of_change(c memoria.changes) returns uuid[]
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

create or replace function public.memoria_add_member(p_event_id text, p_user_id uuid, p_role text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_event memoria.events := memoria.lock_event_for(p_event_id, 'manage');
begin
  if p_role is null or p_role not in ('host', 'cohost', 'contributor', 'viewer') then
    raise exception 'p_role is host, cohost, contributor or viewer.' using errcode = '22023';
  end if;
  perform memoria.check_member_change(v_event, p_user_id, p_role);
  insert into memoria.members (event_id, user_id, role, added_by)
  values (p_event_id, p_user_id, p_role, (select auth.uid()))
  on conflict (event_id, user_id) do update set
    role = excluded.role,
    -- whom the owner or the backend says anew is theirs; another's word changes the role alone
    added_by = case
      when excluded.added_by is null or excluded.added_by = v_event.owner_id then excluded.added_by
      else members.added_by
    end;
  return jsonb_build_object('event_id', p_event_id, 'user_id', p_user_id, 'role', p_role);
end
$$;

-- A member may also leave. Whom they let in counts as let in by who had let them in; whom the maker of an event let in
-- who is not its owner, by the maker for ever.
create or replace function public.memoria_remove_member(p_event_id text, p_user_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_leaves boolean := p_user_id = (select auth.uid());
  v_event memoria.events := memoria.lock_event_for(p_event_id, case when v_leaves then 'view' else 'manage' end);
  v_let_in_by uuid;
  v_removed boolean;
begin
  if not v_leaves or p_user_id = v_event.owner_id then
    perform memoria.check_member_change(v_event, p_user_id, null);
  end if;
  delete from memoria.members where event_id = p_event_id and user_id = p_user_id returning added_by into v_let_in_by;
  v_removed := found;
  if v_removed and p_user_id is distinct from v_event.made_by then
    update memoria.members set added_by = v_let_in_by where event_id = p_event_id and added_by = p_user_id;
  end if;
  return jsonb_build_object('event_id', p_event_id, 'user_id', p_user_id, 'removed', v_removed);
end
$$;

create or replace function public.memoria_event_status(p_event_id text) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  v_event memoria.events;
  v_photos jsonb;
  v_people record;
  v_clustering text;
begin
  -- before anything is counted: how long that takes would tell whether the event is there
  perform memoria.authorize(p_event_id, 'view');
  select * into v_event from memoria.events where id = p_event_id;
  v_photos := memoria.photo_counts(p_event_id);
  v_people := memoria.people_counts(p_event_id);
  v_clustering := memoria.clustering_state(p_event_id);
  return jsonb_build_object(
    'event_id', p_event_id, 'status', coalesce(v_event.status, 'open'), 'clustered_at', v_event.clustered_at,
    'photos', v_photos,
    'faces', (select count(*) from memoria.faces where event_id = p_event_id),
    'people', v_people.shown, 'hidden_people', v_people.hidden,
    'clustering', v_clustering,
    'clustering_error', case when v_clustering in ('failed', 'needs_memory') then (
      select jsonb_build_object('code', error_code, 'message', error_message) from memoria.jobs
      where event_id = p_event_id and kind = 'cluster' and error_code is not null
        and (waiting and finished_at is null or status = 'failed')
      order by finished_at desc nulls first limit 1
    ) end,
    -- nothing is left to do, and the people are those of all photos and of the faces that were drawn
    'done', v_photos ->> 'pending' = '0' and v_clustering = 'idle' and not exists (
      select from memoria.jobs
      where event_id = p_event_id and kind = 'process' and status in ('queued', 'dispatched', 'running')
    ) and not exists (
      select from memoria.hand_overs where event_id = p_event_id and failed and code = 'not_handed_over'
        and relation <> all ((select memoria.tables_without_triggers())::text[])
    ),
    'version', coalesce(v_event.people_version + v_event.photos_version, 0),
    'failures', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'media_id', id, 'code', error_code, 'message', error_message
      ) order by number), '[]')
      from (
        select * from memoria.media where event_id = p_event_id and status = 'failed' order by number limit 1000
      ) as failed
    ),
    -- what something outside keeps from being looked at: it is tried again
    'waiting', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'media_id', media_id, 'code', error_code, 'message', error_message, 'since', waiting_since
      ) order by waiting_since, media_id), '[]')
      from (
        select * from memoria.jobs
        where event_id = p_event_id and kind = 'process' and waiting_since is not null and finished_at is null
        order by waiting_since, media_id limit 100
      ) as held_up
    ),
    'not_handed_over', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'media_id', row_id, 'code', code, 'message', message, 'at', created_at
      ) order by id), '[]')
      from (
        select * from (
          -- the last of each row
          select distinct on (row_id, code) * from memoria.hand_overs
          where event_id = p_event_id order by row_id, code, id desc
        ) as each_once
        order by id limit 100
      ) as told
    )
  );
end
$$;

-- Cancels the event's work and purges its vectors at once; names, boxes and people stay. Photos that
-- were not looked at end with that reason. What is owed to the app is still told.
create or replace function public.memoria_archive_event(p_event_id text) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_jobs integer;
  v_faces integer;
begin
  perform memoria.lock_event_for(p_event_id, 'manage');
  update memoria.events set
    status = 'archived', ungrouped_since = null, archive_at = case when archive_at > now() then archive_at end,
    archive_time_by = case when archive_at > now() then archive_time_by end,
    -- the sweeper does as it was told by who set the time
    archived_by = case
      when status = 'archived' then archived_by
      when (select auth.uid()) is null and archive_at <= now() then archive_time_by else (select auth.uid())
    end
  where id = p_event_id;
  update memoria.jobs set
    status = 'cancelled', finished_at = clock_timestamp(), token = null, leased_until = null, payload = null
  where event_id = p_event_id and kind <> 'callback' and status in ('queued', 'dispatched', 'running');
  get diagnostics v_jobs = row_count;
  update memoria.media set
    status = 'failed', completed_at = clock_timestamp(),
    error_code = 'event_archived', error_message = 'The event is archived.'
  where event_id = p_event_id and status = 'pending';
  update memoria.faces set embedding = null where event_id = p_event_id and embedding is not null;
  get diagnostics v_faces = row_count;
  update memoria.persons set centroid = null, centroid_faces = null, mean_length = null
  where event_id = p_event_id and centroid is not null;
  perform memoria.touch_photos(p_event_id);
  perform memoria.tell_progress(p_event_id);
  return jsonb_build_object(
    'event_id', p_event_id, 'status', 'archived', 'jobs_cancelled', v_jobs, 'vectors_purged', v_faces
  );
end
$$;

-- Queues the processing of photos whose event is locked; those that wait or run already stay as they are.
create or replace function memoria.queue_media(p_event_id text, p_media_ids text[]) returns integer
language plpgsql
set search_path = ''
-- thousands of ids are hashed only where the plan knows them
set plan_cache_mode = force_custom_plan
as $$
declare
  v_queued integer;
begin
  update memoria.media
  set status = 'pending', completed_at = null, error_code = null, error_message = null
  where event_id = p_event_id and id = any (p_media_ids) and status <> 'pending';
  insert into memoria.jobs (kind, event_id, media_id, max_attempts)
  select 'process', p_event_id, id, (select memoria.setting_of('max_attempts', 'process'))
  from memoria.media where event_id = p_event_id and id = any (p_media_ids)
  order by number
  on conflict do nothing;
  get diagnostics v_queued = row_count;
  perform memoria.touch_photos(p_event_id);
  perform memoria.tell_progress(p_event_id);
  return v_queued;
end
$$;

-- Opens an archived event again: the photos whose vectors went, or that were not done, are processed. The event is
-- locked.
create or replace function memoria.open_again(p_event_id text) returns integer
language plpgsql set search_path = '' as $$
declare
  v_queued integer;
begin
  -- one whose time ran out meanwhile would be archived again at once
  update memoria.events set
    status = 'open', archived_by = null, archive_at = case when archive_at > now() then archive_at end,
    archive_time_by = case when archive_at > now() then archive_time_by end
  where id = p_event_id and status = 'archived';
  if not found then
    return 0;
  end if;
  v_queued := memoria.queue_media(p_event_id, array(
    select id from memoria.media
    where event_id = p_event_id and (
      status = 'pending' or error_code = 'event_archived'
      or exists (select from memoria.faces where media_id = media.id and embedding is null)
    )
  ));
  perform memoria.settle_event(p_event_id, v_queued = 0);
  return v_queued;
end
$$;

revoke all on function memoria.open_again(text) from public, anon, authenticated, service_role;

create or replace function public.memoria_reopen_event(p_event_id text) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
begin
  perform memoria.lock_event_for(p_event_id, 'manage');
  return jsonb_build_object('event_id', p_event_id, 'status', 'open', 'queued', memoria.open_again(p_event_id));
end
$$;

-- Removes an event with everything in it.
create or replace function public.memoria_delete_event(p_event_id text) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
begin
  perform memoria.authorize(p_event_id, 'manage');
  -- the strongest lock at once: taken in two steps it meets whoever is adding a photo
  perform from memoria.events where id = p_event_id for update;
  if not found then
    perform memoria.refuse_unknown('event');
  end if;
  perform memoria.authorize(p_event_id, 'manage');
  -- rows that were kept out of it are the sweeper's: they come, where they still name it
  delete from memoria.hand_overs where event_id = p_event_id and not failed;
  delete from memoria.events where id = p_event_id;
  return jsonb_build_object('event_id', p_event_id, 'deleted', true);
end
$$;

-- Brings photos that are known in this event to how they are handed over now: processed anew where the
-- object is another one (of an archived event, once it is reopened), or where the photo had failed and is
-- handed over by hand. By hand, the preview of a photo that follows a table stays, as its place does. The events are
-- locked.
create or replace function memoria.update_known(p_rows memoria.handed[], p_source text) returns void
language plpgsql
set search_path = ''
-- thousands of ids are hashed only where the plan knows them
set plan_cache_mode = force_custom_plan
as $$
declare
  v_again record;
  v_moved text[] := array(
    select media.id from unnest(p_rows) as given join memoria.media on media.id = given.media_id
    where (media.bucket, media.path) <> (given.bucket, given.path)
  );
begin
  update memoria.media set
    bucket = given.bucket, path = given.path, preview_path = given.preview_path,
    source = coalesce(p_source, media.source),
    placed_at = case when media.id = any (v_moved) then clock_timestamp() else placed_at end
  from unnest(p_rows) as given
  where media.id = given.media_id and (p_source is not null or media.source is null)
    and (media.bucket, media.path, media.preview_path, media.source)
      is distinct from (given.bucket, given.path, given.preview_path, coalesce(p_source, media.source));
  -- how the old object ended says nothing of the new one
  update memoria.jobs set
    attempts = 0, deaths = 0, waits = 0, waiting_since = null, error_code = null, error_message = null,
    run_after = clock_timestamp()
  where media_id = any (v_moved) and kind = 'process' and status in ('queued', 'dispatched', 'running');
  for v_again in
    select events.id as event_id, events.status = 'open' as is_open, array_agg(media.id order by media.number) as ids
    from unnest(p_rows) as given join memoria.media on media.id = given.media_id
    join memoria.events on events.id = media.event_id
    where media.id = any (v_moved) or (p_source is null and media.status = 'failed' and events.status = 'open')
    group by events.id order by events.id
  loop
    if v_again.is_open then
      perform memoria.queue_media(v_again.event_id, v_again.ids);
    else
      perform memoria.put_off_media(v_again.event_id, v_again.ids);
    end if;
  end loop;
end
$$;

-- Takes photos in: p_source names the app's table that they are rows of, p_added_by the user who handed
-- them over, all of one event. Their events exist. Returns those that could not be taken. Raises 404 for who lost
-- the right while events were waited for.
create or replace function memoria.take_in(p_rows memoria.handed[], p_source text, p_added_by uuid)
returns memoria.refused[]
language plpgsql
set search_path = ''
-- thousands of ids are hashed only where the plan knows them
set plan_cache_mode = force_custom_plan
as $$
declare
  v_rows memoria.handed[];
  v_known text[];
  v_changed memoria.handed[];
  v_refused memoria.refused[];
  v_foreign text[];
begin
  v_refused := array(
    select row(given.media_id, given.event_id, 'invalid', memoria.fault_of(given))::memoria.refused
    from unnest(p_rows) as given where memoria.fault_of(given) is not null
  );
  v_rows := array(
    select row(media_id, event_id, bucket, path, preview_path)::memoria.handed from (
      select distinct on (media_id) given.*
      from unnest(p_rows) with ordinality as given (media_id, event_id, bucket, path, preview_path, n)
      where memoria.fault_of(row(media_id, event_id, bucket, path, preview_path)::memoria.handed) is null
      order by media_id, n desc
    ) as last_word
  );
  -- twice at most: a row that somebody else adds at this instant is known the second time, and not changed before
  -- its event is locked
  for v_turn in 1..2 loop
    v_known := array(select media.id from unnest(v_rows) as given join memoria.media on media.id = given.media_id);
    v_changed := memoria.differing(v_rows, p_source);
    perform memoria.lock_events_of_rows(array(select media_id from unnest(v_changed)), v_changed);
    if p_source is null and cardinality(v_changed) > 0 and not memoria.may((v_changed[1]).event_id, 'contribute') then
      perform memoria.refuse_unknown('event');
    end if;
    if p_source is not null then
      perform memoria.release_dropped(array(select media_id from unnest(v_changed)), p_source);
      perform memoria.clear_squatted(v_changed, p_source);
    end if;
    v_foreign := array(
      select media.id from unnest(v_rows) as given join memoria.media on media.id = given.media_id
      where media.event_id <> given.event_id or media.source <> p_source
        -- by hand, nobody points a photo elsewhere that follows a table, or that is another user's
        or (p_source is null and (media.bucket, media.path) <> (given.bucket, given.path) and (
          media.source is not null
          or (media.added_by is distinct from p_added_by and not memoria.may(media.event_id, 'manage'))
        ))
    );
    perform memoria.update_known(array(
      select given from unnest(v_changed) as given where media_id <> all (v_foreign)
    ), p_source);
    with added as (
      insert into memoria.media (id, event_id, bucket, path, preview_path, added_by, source)
      select media_id, event_id, bucket, path, preview_path, p_added_by, p_source
      from unnest(v_rows) as given
      where not exists (select from memoria.media where id = given.media_id)
      order by media_id
      on conflict do nothing
      returning id
    )
    select array(
      select given from unnest(v_rows) as given
      where media_id not in (select id from added) and (
        media_id <> all (v_known) or not exists (select from memoria.media where id = given.media_id)
      )
    ) into v_rows;
    v_refused := v_refused || array(
      select row(given.media_id, given.event_id, 'id_taken',
        'This id is taken by another photo.')::memoria.refused
      from unnest(p_rows) as given
      where given.media_id = any (v_foreign)
        -- what is to be looked at once more is not refused yet
        and (v_turn = 2 or given.media_id not in (select media_id from unnest(v_rows)))
    );
    exit when cardinality(v_rows) = 0;
  end loop;
  return v_refused;
end
$$;

-- Raises 429 where an owner's photos that wait would become more than allowed. What waits already, or is done and lies
-- where it did, makes them no more.
create or replace function memoria.check_pending(p_event_id text, p_rows memoria.handed[]) returns void
language plpgsql stable set search_path = '' set enable_seqscan = off as $$
declare
  v_most bigint := memoria.number('max_pending_per_owner');
  v_theirs text[] := array(
    select p_event_id
    union
    select id from memoria.events
    where owner_id = (select owner_id from memoria.events where id = p_event_id)
  );
  v_more constant bigint := (
    select count(*) from unnest(p_rows) as given where not exists (
      -- of this event alone: how another's photo stands is not told
      select from memoria.media where id = given.media_id and event_id = p_event_id and (
        status = 'pending' or (status = 'completed' and (bucket, path) = (given.bucket, given.path))
      )
      offset 0  -- each by its key
    )
  );
  v_pending bigint;
begin
  select count(*) into v_pending from (
    select from unnest(v_theirs) as theirs (id), lateral (
      select from memoria.media where event_id = theirs.id and status = 'pending'
      offset 0  -- each by its key
    ) as waiting
    limit v_most
  ) as counted;
  if v_pending + v_more > v_most then
    raise exception 'Too many photos of this owner wait already: max_pending_per_owner is %.', v_most
      using errcode = 'PT429';
  end if;
end
$$;

revoke all on function memoria.check_pending(text,memoria.handed[]) from public, anon, authenticated, service_role;

-- The event that photos are handed over into, open and the caller's to add to; the service role makes it.
create or replace function memoria.check_enqueue(p_event_id text, p_rows memoria.handed[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_trusted boolean := memoria.caller_is_trusted();
  v_event memoria.events;
begin
  if not memoria.may(p_event_id, 'contribute') then
    perform memoria.refuse_unknown('event');
  elsif v_trusted then
    insert into memoria.events (id, owner_id)
    select p_event_id, (select auth.uid())
    where not exists (select from memoria.events where id = p_event_id) on conflict do nothing;
  end if;
  -- who deletes it at this instant is waited for; afterwards they wait
  select * into v_event from memoria.events where id = p_event_id for key share;
  if v_event.id is null then
    perform memoria.refuse_unknown('event');
  elsif v_event.status = 'archived' then
    raise exception 'This event is archived: reopen it first.' using errcode = 'PT409';
  elsif not v_trusted then
    perform memoria.check_pending(p_event_id, p_rows);
  end if;
end
$$;

-- Hands over at most 1,000 photos of an event: [{"media_id", "bucket", "path", "preview_path"}]. Each is
-- answered by its job, or by the error that kept it out. Rights are asked as by memoria_enqueue.
create or replace function public.memoria_enqueue_many(p_event_id text, p_media jsonb) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_rows memoria.handed[];
  v_refused memoria.refused[];
begin
  if jsonb_typeof(p_media) is distinct from 'array' or jsonb_array_length(p_media) > 1000 then
    raise exception 'p_media is an array of at most 1000 photos.' using errcode = '22023';
  elsif not memoria.is_id(p_event_id) then
    raise exception '%', memoria.fault_of(row('x', p_event_id, 'x', 'x', null)::memoria.handed)
      using errcode = '22023';
  end if;
  v_rows := array(
    -- of a photo that is named twice, the last word
    select distinct on (item ->> 'media_id')
      row(item ->> 'media_id', p_event_id, item ->> 'bucket', item ->> 'path', item ->> 'preview_path')::memoria.handed
    from jsonb_array_elements(p_media) with ordinality as given (item, n)
    order by item ->> 'media_id', n desc
  );
  perform memoria.check_enqueue(p_event_id, v_rows);
  v_refused := memoria.not_theirs(v_rows);
  v_refused := v_refused || memoria.take_in(array(
    select given from unnest(v_rows) as given
    where not exists (select from unnest(v_refused) as refused where refused.media_id = given.media_id)
  ), null, (select auth.uid()));
  return jsonb_build_object('event_id', p_event_id, 'media', (
    select coalesce(jsonb_agg(coalesce(
      (
        select jsonb_build_object('media_id', given.media_id, 'error', jsonb_build_object('code', code, 'message', message))
        from unnest(v_refused) as refused
        where refused.media_id is not distinct from given.media_id limit 1
      ),
      memoria.process_job_of(given.media_id, p_event_id) - 'event_id'
    ) order by n), '[]')
    from (
      select item ->> 'media_id' as media_id, n from jsonb_array_elements(p_media) with ordinality as named (item, n)
    ) as given
  ));
end
$$;

-- Who manages the event, or contributed the photo.
create or replace function memoria.may_remove(p_media memoria.media) returns boolean
language sql stable set search_path = '' as $$
  select memoria.may(p_media.event_id, 'manage') or (
    memoria.may(p_media.event_id, 'contribute') and coalesce(p_media.added_by = (select auth.uid()), false)
  )
$$;

revoke all on function memoria.may_remove(memoria.media) from public, anon, authenticated, service_role;

-- Removes a photo with everything of it. Rights are asked before and after waiting for the event.
create or replace function public.memoria_delete_media(p_media_id text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_media memoria.media;
begin
  select * into v_media from memoria.media where id = p_media_id;
  if not found or not memoria.may_remove(v_media) then
    perform memoria.refuse_unknown('photo');
  end if;
  perform memoria.lock_event(v_media.event_id);
  if not memoria.may_remove(v_media) then
    perform memoria.refuse_unknown('photo');
  end if;
  if not exists (select from memoria.media where id = p_media_id and event_id = v_media.event_id) then
    if exists (select from memoria.media where id = p_media_id) then
      raise exception 'This photo went to another event at this instant.' using errcode = 'PT409';
    end if;
    perform memoria.refuse_unknown('photo');
  end if;
  perform memoria.remove_media(v_media.event_id, array[p_media_id]);
  return jsonb_build_object('media_id', p_media_id, 'event_id', v_media.event_id, 'deleted', true);
end
$$;

-- {event: its owner} of some rows of a followed table, as far as they name one: the one that the first row names.
create or replace function memoria.owners_expression(p_columns jsonb) returns text
language sql immutable set search_path = '' as $$
  select case when p_columns ? 'owner' then format(
    'coalesce(jsonb_object_agg(%1$I::text, %2$I::text order by ctid desc)'
    ' filter (where %1$I is not null and %2$I is not null), ''{}'')',
    p_columns ->> 'event', p_columns ->> 'owner'
  ) else 'null::jsonb' end
$$;

-- What users said of an event who have no role there any more: their guests' links end, and that it is archived, or
-- will be, is taken back.
create or replace function memoria.end_word_of_others(p_event_id text, p_owner_id uuid) returns void
language plpgsql set search_path = '' as $$
declare
  v_heard constant uuid[] := array(select user_id from memoria.members where event_id = p_event_id) || p_owner_id;
begin
  update memoria.search_links set revoked_at = clock_timestamp()
  where event_id = p_event_id and revoked_at is null and created_by <> all (v_heard);
  update memoria.events set archive_at = null, archive_time_by = null
  where id = p_event_id and archive_time_by <> all (v_heard);
  if exists (select from memoria.events where id = p_event_id and archived_by <> all (v_heard)) then
    perform memoria.open_again(p_event_id);
  end if;
end
$$;

revoke all on function memoria.end_word_of_others(text,uuid) from public, anon, authenticated, service_role;

-- Gives an event back to the app that a user made under one of its ids, without what that user put there.
create or replace function memoria.take_event_over(p_relation text, p_event_id text) returns void
language plpgsql set search_path = '' as $$
begin
  delete from memoria.members where event_id = p_event_id;
  perform memoria.remove_media(p_event_id, array(
    select id from memoria.media where event_id = p_event_id and source is null and added_by is not null
  ));
  perform memoria.note_hand_overs(p_relation, array[row(
    p_event_id, p_event_id, 'event_taken_over',
    'A user had made an event of this id; it is the app''s again, without that user''s photos, members and links.'
  )::memoria.refused], false);
end
$$;

-- Of an event's members, those stay whom its owner or the app's backend let in, and whom those let in, and so on; but
-- nobody whom this user let in.
create or replace function memoria.remove_members_of(p_event_id text, p_user_id uuid, p_owner_id uuid) returns void
language sql set search_path = '' as $$
  with recursive kept (id) as (
    select user_id from memoria.members
    where event_id = p_event_id and (added_by is null or added_by = p_owner_id)
    union
    select user_id from memoria.members join kept on members.added_by = kept.id
    where event_id = p_event_id and kept.id <> p_user_id
  )
  delete from memoria.members where event_id = p_event_id and user_id not in (select id from kept)
$$;

-- Makes the events that rows name. One that a user made is the app's as soon as rows name its owner: where that is
-- its maker, it stays as it is (who made it may have given it away); where its maker gave it to that owner, whom they
-- let in goes; else it is taken over. Rows that name no owner say nothing. The photos of a followed table are never
-- filed under an event of which only a user says whose it is. Returns the events that are not the app's.
create or replace function memoria.claim_events(p_relation text, p_events text[], p_owners jsonb) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events;
  v_owner uuid;
begin
  insert into memoria.events (id, owner_id)
  select id, memoria.as_uuid(p_owners ->> id) from unnest(p_events) as wanted (id)
  where not exists (select from memoria.events where events.id = wanted.id)
  order by id on conflict do nothing;
  for v_event in
    select * from memoria.events
    where id = any (p_events) and (made_by is not null or owner_id is null)
      and memoria.as_uuid(p_owners ->> id) is not null
    order by id for no key update
  loop
    v_owner := memoria.as_uuid(p_owners ->> v_event.id);
    if v_owner = v_event.made_by then
      v_owner := coalesce(v_event.owner_id, v_owner);
    elsif v_owner = v_event.owner_id then
      perform memoria.remove_members_of(v_event.id, v_event.made_by, v_owner);
    elsif v_event.made_by is not null then
      perform memoria.take_event_over(p_relation, v_event.id);
    end if;
    if v_event.made_by <> memoria.as_uuid(p_owners ->> v_event.id) then
      perform memoria.end_word_of_others(v_event.id, v_owner);
    end if;
    -- whoever owns it needs no other role, and keeps none when it is given away
    delete from memoria.members where event_id = v_event.id and user_id = v_owner;
    update memoria.events set owner_id = v_owner, made_by = null where id = v_event.id;
  end loop;
  return array(select id from memoria.events where id = any (p_events) and made_by is not null);
end
$$;

-- Removes photos of a followed table that are no longer its rows.
create or replace function memoria.remove_followed(p_relation text, p_ids text[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_gone record;
begin
  for v_gone in
    select event_id, array_agg(id) as ids from memoria.media
    where id = any (p_ids) and source = p_relation group by event_id order by event_id
  loop
    perform memoria.lock_event(v_gone.event_id);
    perform memoria.remove_media(v_gone.event_id, v_gone.ids);
  end loop;
  delete from memoria.hand_overs
  where relation = p_relation and row_id = any (p_ids) and failed and code <> 'not_handed_over';
end
$$;

-- Rows of a followed table as they are now, and the owners of their events.
create or replace function memoria.rows_now(
  p_relation text, p_ids text[], p_table regclass default null, out rows memoria.handed[], out owners jsonb
)
language plpgsql stable
set search_path = ''
-- rows that a policy hides are not gone: an error instead
set row_security = off
as $$
declare
  v_columns constant jsonb := (select columns from memoria.followed where relation = p_relation);
  v_table constant regclass := coalesce(p_table, p_relation::regclass);
  v_id constant text := v_columns ->> 'id';
  v_type constant text := (
    select format_type(atttypid, atttypmod) from pg_attribute where attrelid = v_table and attname = v_id
  );
  v_query constant text := format(
    'select coalesce(array_agg(%s), ''{}''), %s from %s where ',
    memoria.handed_expression(v_columns), memoria.owners_expression(v_columns), v_table
  ) || case when array_position(p_ids, null) is not null then format('%I is null or ', v_id) else '' end;
begin
  -- by the index, which is of the column's own type
  execute v_query || format('%I = any ($1::%s[])', v_id, v_type) into rows, owners using p_ids;
exception when data_exception or undefined_function then
  -- an id that was noted before the column had this type, or a type whose operators lie elsewhere
  execute v_query || format('%I::text = any ($1)', v_id) into rows, owners using p_ids;
end
$$;

revoke all on function memoria.rows_now(text,text[],regclass) from public, anon, authenticated, service_role;

-- The rows that a statement added, changed in what concerns us, or removed: as they were and as it left them.
create or replace function memoria.touched_expression(p_operation text, p_columns jsonb) returns text
language sql immutable set search_path = '' as $$
  select format(case p_operation
    when 'INSERT' then 'select %1$s from memoria_added'
    when 'DELETE' then 'select %1$s from memoria_removed'
    else '(select %1$s from memoria_added except select %1$s from memoria_removed) union all'
      ' (select %1$s from memoria_removed except select %1$s from memoria_added)'
  end, memoria.handed_expression(p_columns))
$$;

revoke all on function memoria.touched_expression(text,jsonb) from public, anon, authenticated, service_role;

-- Of these rows, those that wait for the sweeper, or may: what it reads at this instant may be older than they are.
create or replace function memoria.waiting_rows(p_relation text, p_ids text[]) returns text[]
language sql stable set search_path = '' as $$
  select array(
    select distinct row_id from memoria.hand_overs
    where relation = p_relation and row_id = any (p_ids) and failed and code not in ('incomplete', 'invalid')
  )
$$;

revoke all on function memoria.waiting_rows(text,text[]) from public, anon, authenticated, service_role;

-- Rows are handed over as they are now, whatever the statement left: a trigger of the app's own may have changed them
-- since, and been handed over before. What waits for the sweeper is noted once more: it may be about to hand over what
-- it read before.
-- It waits for a lock for half a second, less than a deadlock takes to be seen: what waits longer is the
-- sweeper's. Whoever waited in vain once waits no more in this transaction, so that waits do not add up to the
-- time that the app's statement has.
create or replace function memoria.follow_changes() returns trigger
language plpgsql security definer set search_path = '' set lock_timeout = '500ms' as $$
declare
  v_relation text := tg_argv[0];
  v_touched memoria.handed[];
  v_ids text[];
  v_now record;
  v_gone text[];
  v_waiting text[];
  v_late memoria.handed[];
begin
  if current_setting('memoria.waited_in_vain', true) = 'yes' then
    perform set_config('lock_timeout', '1ms', true);
  end if;
  if tg_op = 'TRUNCATE' then
    v_touched := array(
      select row(id, event_id, bucket, path, preview_path)::memoria.handed
      from memoria.media where source = v_relation
      union all
      select row(row_id, event_id, null, null, null)::memoria.handed
      from memoria.hand_overs where relation = v_relation and failed and code <> 'not_handed_over'
    );
  else
    execute format('select array(%s)', memoria.touched_expression(
      tg_op, (select columns from memoria.followed where relation = v_relation)
    )) into v_touched;
  end if;
  if v_touched = '{}' then
    return null;
  end if;
  v_ids := array(select distinct media_id from unnest(v_touched));
  v_late := v_touched;
  begin
    select * into v_now from memoria.rows_now(v_relation, v_ids, tg_relid);
    v_gone := array(select unnest(v_ids) except select media_id from unnest(v_now.rows));
    -- as they are now, or were; not `any`, which looks at all of them for each in a plan that is kept
    v_late := v_now.rows || array(
      select distinct on (media_id) given from unnest(v_touched) as given
      where media_id in (select unnest(v_gone))
    );
    v_waiting := memoria.waiting_rows(v_relation, v_ids);
    perform memoria.remove_followed(v_relation, v_gone);
    if cardinality(v_now.rows) > 0 then
      perform memoria.hand_over(v_relation, v_now.rows, v_now.owners);
    end if;
    perform memoria.postpone_hand_over(v_relation, array(
      select given from unnest(v_late) as given where media_id in (select unnest(v_waiting))
    ), 'It changed while it was still to be handed over.');
  exception when others then
    perform set_config('memoria.waited_in_vain', 'yes', true);
    perform memoria.postpone_hand_over(v_relation, v_late, sqlerrm);
  end;
  return null;
exception when others then
  -- never a reason for the app's statement to fail
  perform memoria.note_broken(v_relation, sqlerrm);
  return null;
end
$$;

-- Tries again rows that were written down: as they are now; those that are gone are removed. What the app changes
-- meanwhile it writes down again, since it finds it here. What changed while their events were waited for is left to
-- the next sweep.
create or replace function memoria.retry_rows(p_relation text, p_late bigint[], p_table regclass default null) returns integer
language plpgsql set search_path = '' as $$
declare
  v_ids text[] := array(select distinct row_id from memoria.hand_overs where id = any (p_late));
  v_before record;
  v_now record;
  v_count integer;
begin
  select * into v_before from memoria.rows_now(p_relation, v_ids, p_table);
  perform memoria.lock_events_of_rows(v_ids, v_before.rows);
  select * into v_now from memoria.rows_now(p_relation, v_ids, p_table);
  v_ids := array(
    select unnest(v_ids) except select media_id from (
      (select * from unnest(v_before.rows) except select * from unnest(v_now.rows))
      union all
      (select * from unnest(v_now.rows) except select * from unnest(v_before.rows))
    ) as changed
  );
  perform memoria.remove_followed(p_relation, array(
    select unnest(v_ids) except select media_id from unnest(v_now.rows)
  ));
  v_count := memoria.hand_over(p_relation, array(
    select given from unnest(v_now.rows) as given where media_id = any (v_ids)
  ), v_now.owners);
  delete from memoria.hand_overs where id = any (p_late) and row_id = any (v_ids);
  return v_count;
end
$$;

revoke all on function memoria.retry_rows(text,bigint[],regclass) from public, anon, authenticated, service_role;

-- A thousand rows of a table; where that fails, the half of them, until one is alone, which goes behind all
-- others. One success ends it: no event is waited for while others are held. Nor for as long as a deadlock takes to be
-- seen: who holds the event may want the table.
create or replace function memoria.retry_table(p_relation text) returns integer
language plpgsql set search_path = '' set lock_timeout = '500ms' as $$
declare
  v_late bigint[];
  v_size integer := 1000;
  v_until constant timestamptz := clock_timestamp() + interval '5 seconds';
begin
  -- whoever changes what is followed holds the table: nobody waits for them, and what is read from here on stands
  execute format('lock table %s in access share mode nowait', p_relation);
  if memoria.followers(p_relation) <> array[to_regclass(p_relation)] then
    return 0;  -- it is another table's name now: broken_follows tells
  end if;
  v_late := array(
    select id from memoria.hand_overs
    where relation = p_relation and failed and code = 'not_handed_over' order by tries, id limit 1000
  );
  for v_turn in 1..50 loop
    v_size := least(v_size, cardinality(v_late));
    -- a thousand are parted in eleven turns
    exit when v_size = 0 or (v_turn > 11 and clock_timestamp() > v_until);
    begin
      return memoria.retry_rows(p_relation, v_late[:v_size]);
    exception
      when lock_not_available or transaction_rollback then
        raise;  -- not by these rows
      when others then
        if v_size = 1 then
          update memoria.hand_overs set tries = tries + 1, message = sqlerrm where id = v_late[1];
          v_late := v_late[2:];
          v_size := 1000;
        else
          v_size := (v_size + 1) / 2;
        end if;
    end;
  end loop;
  return 0;
exception when others then
  raise warning 'memoria: rows of % are still not handed over: %', p_relation, sqlerrm;
  return 0;
end
$$;

-- Rows whose id or event another had, and has no longer, are tried again. Ten thousand are asked in one sweep, any, so
-- that all are in time. Who changes one at this instant is not waited for.
create or replace function memoria.retry_freed() returns void
language plpgsql set search_path = '' as $$
declare
  v_dropped constant text[] := memoria.dropped_tables();
  v_freed bigint[];
begin
  v_freed := array(
    select id from memoria.hand_overs as kept_out
    where id in (
      select id from memoria.hand_overs
      where failed and code in ('id_taken', 'event_of_a_user') order by random() limit 10000
    ) and relation <> all (v_dropped) and case code
      when 'event_of_a_user' then not exists (
        select from memoria.events where events.id = kept_out.event_id and made_by is not null
      )
      else not exists (
        select from memoria.media where media.id = row_id
          and case when source is null then media.event_id <> kept_out.event_id else source <> all (v_dropped) end
      )
    end
  );
  update memoria.hand_overs set code = 'not_handed_over' where id in (
    select id from memoria.hand_overs where id = any (v_freed) for no key update skip locked
  );
end
$$;

revoke all on function memoria.retry_freed() from public, anon, authenticated, service_role;

-- One table in one sweep, the tables in turn: no table waits for another's trouble to end, and no event of one is
-- held while those of another are waited for.
create or replace function memoria.retry_hand_overs() returns integer
language plpgsql set search_path = '' as $$
declare
  v_relation text;
  v_count integer;
begin
  perform memoria.retry_freed();
  select relation into v_relation from memoria.followed
  where exists (
    select from memoria.hand_overs
    where relation = followed.relation and failed and code = 'not_handed_over'
  )
  order by retried_at, relation limit 1;
  if v_relation is null then
    return 0;
  end if;
  v_count := memoria.retry_table(v_relation);
  -- also where it failed, so that the next turn is another's. Not waited for: memoria_follow, which holds the row,
  -- may wait for the table.
  update memoria.followed set retried_at = clock_timestamp() where relation in (
    select relation from memoria.followed where relation = v_relation for no key update skip locked
  );
  return v_count;
end
$$;

-- Whatever they are called by now.
create or replace function memoria.unfollow_triggers(p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare
  v_trigger name;
begin
  for v_trigger in
    select tgname from pg_trigger
    where tgrelid = p_table and tgfoid = 'memoria.follow_changes()'::regprocedure and not tgisinternal
  loop
    execute format('drop trigger %I on %s', v_trigger, p_table);
  end loop;
end
$$;

-- Followed tables that were dropped: no table has their name, and none tells it.
create or replace function memoria.dropped_tables() returns text[]
language sql stable set search_path = '' as $$
  select array(
    select relation from memoria.followed where to_regclass(relation) is null and memoria.followers(relation) = '{}'
  )
$$;

revoke all on function memoria.dropped_tables() from public, anon, authenticated, service_role;

-- Followed tables of which nothing is heard any more: they were dropped, whether or not another has the name by now, or
-- their triggers were. Their rows that wait stay in memoria.hand_overs until a table of that name is followed.
create or replace function memoria.tables_without_triggers() returns text[]
language sql stable set search_path = '' as $$
  select array(select relation from memoria.followed where memoria.followers(relation) = '{}')
$$;

revoke all on function memoria.tables_without_triggers() from public, anon, authenticated, service_role;

-- Photos of dropped tables are nobody's: what p_source names may take them. Their events are locked.
create or replace function memoria.release_dropped(p_ids text[], p_source text) returns void
language plpgsql set search_path = '' as $$
begin
  if exists (select from memoria.media where id = any (p_ids) and source <> p_source) then
    update memoria.media set source = null
    where id = any (p_ids) and source = any ((select memoria.dropped_tables())::text[]);
  end if;
end
$$;

revoke all on function memoria.release_dropped(text[],text) from public, anon, authenticated, service_role;

-- Dropped tables whose photos are all another's by now.
create or replace function memoria.forget_dropped() returns void
language sql set search_path = '' as $$
  with forgotten as (
    delete from memoria.followed
    where relation = any ((select memoria.dropped_tables())::text[])
      and not exists (select from memoria.media where source = relation)
    returning relation
  )
  delete from memoria.hand_overs where relation in (select relation from forgotten) and failed
$$;

revoke all on function memoria.forget_dropped() from public, anon, authenticated, service_role;

-- The name that a table had when it was followed, where it was renamed since; null else, and where another table
-- hands over under that name.
create or replace function memoria.former_name(p_table regclass) returns text
language sql stable set search_path = '' as $$
  select former from (
    select convert_from(substring(tgargs for octet_length(tgargs) - 1), getdatabaseencoding()) as former from pg_trigger
    where tgrelid = p_table and tgfoid = 'memoria.follow_changes()'::regprocedure limit 1
  ) as told
  where former <> memoria.name_of(p_table) and memoria.followers(former) = array[p_table]
$$;

revoke all on function memoria.former_name(regclass) from public, anon, authenticated, service_role;

-- What waits of a table, then the events of its photos, in the order of their ids; with columns, those of its rows, too.
-- It waits for each lock for less than a deadlock takes to be seen.
create or replace function memoria.lock_books(p_table regclass, p_columns jsonb) returns void
language plpgsql set search_path = '' set lock_timeout = '500ms' as $$
declare
  v_names constant text[] := array[memoria.name_of(p_table), memoria.former_name(p_table)];
begin
  perform from memoria.hand_overs where relation = any (v_names) and failed order by id for update;
  if p_columns is null then
    perform memoria.lock_events_of_rows(array(
      select id from memoria.media where source = any (v_names)
      union select row_id from memoria.hand_overs where relation = any (v_names) and failed
    ), array(
      select row(row_id, event_id, null, null, null)::memoria.handed
      from memoria.hand_overs where relation = any (v_names) and failed
    ));
  else
    execute format(
      'select from memoria.events where id in ('
      ' select %2$I::text from %1$s'
      ' union select event_id from memoria.media where source = any ($1)'
      ' union select event_id from memoria.media where id in (select %3$I::text from %1$s)'
      ') order by id for no key update',
      p_table, p_columns ->> 'event', p_columns ->> 'id'
    ) using v_names;
  end if;
end
$$;

revoke all on function memoria.lock_books(regclass,jsonb) from public, anon, authenticated, service_role;

-- Locks a table, what waits of it, and its events: the sweeper's order. Whoever holds an event may want the table next:
-- where one is waited for in vain, the table is let go before it is asked for again. Raises 55P03 after minutes.
create or replace function memoria.lock_followed(p_table regclass, p_columns jsonb default null) returns void
language plpgsql set search_path = '' as $$
declare
  v_name text;
  v_has_table boolean;
begin
  for v_try in 1..600 loop
    v_has_table := false;
    begin
      v_name := p_table::text;
      execute format('lock table %s in access exclusive mode', v_name);
      v_has_table := true;
      if p_table::text = v_name then  -- else it was renamed meanwhile, and another one is locked
        perform memoria.lock_books(p_table, p_columns);
        return;
      end if;
      raise lock_not_available;
    exception when lock_not_available then
      if not v_has_table then
        raise;  -- the caller's own lock_timeout
      end if;
    end;
    perform pg_sleep(0.1);
  end loop;
  raise exception 'Events of % are at work: try again.', p_table using errcode = '55P03';
end
$$;

revoke all on function memoria.lock_followed(regclass,jsonb) from public, anon, authenticated, service_role;

-- Where a table was followed and renamed since, what is known under its former name goes by the new one from now on.
-- The table, what waits of it and the events of its photos are locked.
create or replace function memoria.follow_renamed(p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare
  v_relation constant text := memoria.name_of(p_table);
  v_former constant text := memoria.former_name(p_table);
begin
  if v_former is null then
    return;
  end if;
  delete from memoria.followed where relation = v_relation;
  delete from memoria.hand_overs where relation = v_relation and failed;
  update memoria.followed set relation = v_relation where relation = v_former;
  update memoria.hand_overs set relation = v_relation where relation = v_former;
  update memoria.media set source = v_relation where source = v_former;
end
$$;

-- Whether no two rows of a table have the same value in a column. Of a partitioned table, no index may say so of
-- a column by which it is not parted.
create or replace function memoria.is_unique(p_table regclass, p_column text) returns boolean
language sql stable set search_path = '' as $$
  select relkind = 'p' or exists (
    select from pg_index join pg_attribute on attrelid = indrelid and attnum = indkey[0]
    where indrelid = p_table and attname = p_column
      and indisunique and indisvalid and indnkeyatts = 1 and indpred is null
  )
  from pg_class where oid = p_table
$$;

revoke all on function memoria.is_unique(regclass,text) from public, anon, authenticated, service_role;

-- Raises where triggers of the table itself would not see all of its changes, or not all columns of these, or where
-- two rows may have one id.
create or replace function memoria.check_seen(p_table regclass, p_columns jsonb) returns void
language plpgsql stable set search_path = '' as $$
declare
  v_unseen text := (
    select string_agg(value, ', ' order by key) from jsonb_each_text(p_columns)
    where key <> 'bucket' and exists (
      select from pg_attribute where attrelid = p_table and attname = value and attgenerated = 'v'
    )
  );
begin
  if v_unseen is not null then
    raise exception 'Triggers do not see what a virtual column holds: have % stored.', v_unseen using errcode = '0A000';
  elsif (select relispartition from pg_class where oid = p_table) then
    raise exception 'Triggers of a partition do not see statements on its parent: follow %.',
      (select inhparent::regclass from pg_inherits where inhrelid = p_table) using errcode = '0A000';
  elsif exists (
    select from pg_inherits join pg_class on pg_class.oid = p_table
    where p_table in (inhrelid, inhparent) and relkind <> 'p'
  ) then
    raise exception 'Triggers do not see statements on tables from which % inherits, or which inherit from it.', p_table
      using errcode = '0A000';
  elsif not memoria.is_unique(p_table, p_columns ->> 'id') then
    raise exception 'Two rows may have the same %: add a primary key or a unique index of this column alone.',
      p_columns ->> 'id' using errcode = '22023';
  end if;
end
$$;

-- Follows a table of the app: from now on, and every row that is there; photos of rows that are gone go. Called
-- again, it changes what is followed. Columns are named as they are in the table; the bucket is a constant or a column.
create or replace function public.memoria_follow(
  p_table regclass,
  p_id text,
  p_event text,
  p_path text,
  p_bucket text default null,
  p_bucket_column text default null,
  p_preview_path text default null,
  p_owner text default null
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_relation text;
  v_columns jsonb := jsonb_strip_nulls(jsonb_build_object(
    'id', p_id, 'event', p_event, 'path', p_path, 'bucket', p_bucket, 'bucket_column', p_bucket_column,
    'preview_path', p_preview_path, 'owner', p_owner
  ));
  v_missing text := (
    select string_agg(value, ', ' order by key) from jsonb_each_text(v_columns)
    where key <> 'bucket' and not exists (
      select from pg_attribute where attrelid = p_table and attname = value and attnum > 0 and not attisdropped
    )
  );
  v_count integer;
begin
  if v_missing is not null then
    raise exception '% has no column %.', memoria.name_of(p_table), v_missing using errcode = '42703';
  elsif p_id is null or p_event is null or p_path is null then
    raise exception 'p_id, p_event and p_path name columns of the table.' using errcode = '22023';
  elsif (p_bucket is null) = (p_bucket_column is null) then
    raise exception 'Name the bucket, or the column that holds it.' using errcode = '22023';
  end if;
  perform memoria.check_seen(p_table, v_columns);
  perform memoria.lock_followed(p_table, v_columns);
  v_relation := memoria.name_of(p_table);
  if memoria.followers(v_relation) <> '{}' and memoria.followers(v_relation) <> array[p_table] then
    -- else its photos would be taken for rows that are gone from this table
    raise exception 'Another table was followed as %: call memoria_follow or memoria_unfollow of that one first.', v_relation
      using errcode = '55000';
  end if;
  perform memoria.follow_renamed(p_table);
  insert into memoria.followed (relation, columns) values (v_relation, v_columns)
  on conflict (relation) do update set columns = excluded.columns, broken = null;
  perform memoria.unfollow_triggers(p_table);
  perform memoria.follow_triggers(p_table, v_relation);
  delete from memoria.hand_overs where relation = v_relation and failed;
  v_count := memoria.hand_over_existing(p_table, v_relation, v_columns);
  perform memoria.remove_gone(p_table, v_relation, v_columns);
  perform memoria.forget_dropped();
  return jsonb_build_object('table', v_relation, 'handed_over', v_count, 'failed', (
    select count(*) from memoria.hand_overs where relation = v_relation and failed
  ));
end
$$;

-- What is still to be done for a table, without leave to fail: rows that cannot be handed over are parted from the
-- others by halves, and told.
create or replace function memoria.retry_all(p_relation text, p_late bigint[], p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare
  v_half constant integer := cardinality(p_late) / 2;
begin
  perform memoria.retry_rows(p_relation, p_late, p_table);
exception
  when transaction_rollback then
    raise;  -- not by these rows
  when others then
    if v_half = 0 then
      raise warning 'memoria: row % of % was not handed over: %',
        (select row_id from memoria.hand_overs where id = any (p_late)), p_relation, sqlerrm;
    else
      perform memoria.retry_all(p_relation, p_late[:v_half], p_table);
      perform memoria.retry_all(p_relation, p_late[v_half + 1:], p_table);
    end if;
end
$$;

revoke all on function memoria.retry_all(text,bigint[],regclass) from public, anon, authenticated, service_role;

-- The table is no longer followed; the photos that it handed over stay. What is still to be done for it is done
-- first, under the name that its photos have. Nothing happens where only its name was followed, of another table.
create or replace function public.memoria_unfollow(p_table regclass) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_known text;
  v_late bigint[];
begin
  perform memoria.lock_followed(p_table);
  v_known := coalesce(memoria.former_name(p_table), memoria.name_of(p_table));
  if memoria.followers(v_known) <@ array[p_table] then
    v_late := array(
      select id from memoria.hand_overs
      where relation = v_known and failed and code = 'not_handed_over' and memoria.followers(v_known) <> '{}'
      order by id
    );
    for v_page in 1..(cardinality(v_late) + 999) / 1000 loop
      perform memoria.retry_all(v_known, v_late[v_page * 1000 - 999 : v_page * 1000], p_table);
    end loop;
    delete from memoria.followed where relation = v_known;
    delete from memoria.hand_overs where relation = v_known and failed;
    update memoria.media set source = null where source = v_known;
  end if;
  perform memoria.unfollow_triggers(p_table);
  return jsonb_build_object('table', memoria.name_of(p_table), 'followed', false);
end
$$;

-- One photo with everybody in it.
create or replace function public.memoria_photo(p_media_id text) returns jsonb
language plpgsql stable security definer
set search_path = ''
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_media memoria.media;
begin
  select * into v_media from memoria.media where id = p_media_id;
  perform memoria.authorize(v_media.event_id, 'view', 'photo');
  if v_media.id is null then
    perform memoria.refuse_unknown('photo');
  end if;
  return memoria.photo_with_faces(v_media) || jsonb_build_object(
    'event_id', v_media.event_id, 'version', memoria.version_of(v_media.event_id),
    'people', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'person_id', who.id, 'name', name, 'hidden', hidden, 'face_count', face_count
      ) order by face_count desc, who.id), '[]')
      from (
        select distinct person_id as id from memoria.faces where media_id = p_media_id
      ) as shown, lateral (
        select * from memoria.persons where persons.id = shown.id
        offset 0  -- each by its key
      ) as who
    )
  );
end
$$;

-- Of the covers that were chosen for these people one is kept; none is withdrawn where none is named.
create or replace function memoria.withdraw_covers(inout c memoria.changes, p_people uuid[], p_kept bigint)
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

-- The chosen cover of one is the first that somebody has, in the order in which they are named.
create or replace function memoria.keep_first_cover(inout c memoria.changes, p_people uuid[])
language plpgsql set search_path = '' as $$
declare
  v_ids constant uuid[] := memoria.ids_of(p_people);
begin
  c := memoria.withdraw_covers(c, p_people, (
    select id from memoria.corrections
    where kind = 'cover' and withdrawn_by is null and person_id = any (v_ids)
    order by array_position(p_people, memoria.root_of(person_id)), id desc limit 1
  ));
end
$$;

-- Who was told apart is one now: the last word counts.
create or replace function memoria.no_longer_apart(inout c memoria.changes, p_people uuid[])
language plpgsql set search_path = '' as $$
declare
  v_ids constant uuid[] := memoria.ids_of(p_people);
begin
  c := memoria.set_value_of_all(c, array(
    select 'apart/' || one_id || '/' || other_id from memoria.distinct_people
    where one_id = any (v_ids) and other_id = any (v_ids)
  ), 'false');
end
$$;

-- "Not this person", said of a face of one of these people to another of them, counts no more. A pin
-- counts for its face also while no model finds that face.
create or replace function memoria.withdraw_rejections(inout c memoria.changes, p_people uuid[])
language plpgsql set search_path = '' as $$
declare
  v_ids constant uuid[] := memoria.ids_of(p_people);
begin
  with withdrawn as (
    update memoria.corrections as said set withdrawn_by = c.id
    where said.kind = 'reject' and said.withdrawn_by is null and said.person_id = any (v_ids) and (
        said.face_id in (select id from memoria.faces where person_id = any (p_people))
        or exists (
          select from memoria.corrections as pin
          where pin.kind = 'pin' and pin.withdrawn_by is null and pin.face_id = said.face_id
            and memoria.root_of(pin.person_id) = any (p_people)
        )
      )
    returning id
  )
  select c.withdrew || array(select id from withdrawn order by id) into c.withdrew;
end
$$;

-- These people become one.
create or replace function memoria.merge(inout c memoria.changes, p_into uuid, p_from uuid[])
language plpgsql set search_path = '' as $$
declare
  v_all uuid[] := p_into || p_from;
begin
  c := memoria.withdraw_rejections(c, v_all);
  c := memoria.keep_first_cover(c, v_all);
  for i in 1 .. cardinality(p_from) loop
    c := (
      select memoria.set_value_of_all(c, array_agg('merged/' || id order by id), to_jsonb(p_into))
      from unnest(memoria.ids_of(p_from[i:i])) as id
    );
  end loop;
  c := memoria.keep_first_name(c, p_into, p_from);
  c := memoria.no_longer_apart(c, v_all);
  c.touches := c.touches || array(select 'who/' || person from unnest(v_all) as person);
  c := memoria.rests_on_people(c, v_all);
  c.faces := (select sum(face_count) from memoria.persons where id = any (p_from));
end
$$;

create or replace function public.memoria_forget_person(p_person_id uuid) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_person memoria.persons;
  v_people uuid[];
  v_faces uuid[];
  v_media text[];
  v_event memoria.events;
begin
  -- an archived event still knows names: forgetting works there too
  v_event := memoria.lock_event_for(
    (select event_id from memoria.persons where id = p_person_id), 'manage', 'person'
  );
  v_person := memoria.person_within(v_event.id, p_person_id);
  perform memoria.check_id_of_today(p_person_id, v_person);
  v_people := memoria.ids_of(array[v_person.id]);
  v_faces := array(
    select id from memoria.faces
    where event_id = v_event.id and (
      person_id = any (v_people) or identity_id = any (v_people)
      -- found again by a later model, and not looked at by a run since
      or id in (
        select face_id from memoria.corrections
        where kind = 'pin' and withdrawn_by is null and person_id = any (v_people)
      )
    )
  );
  v_faces := v_faces || memoria.faces_on_copies(v_event.id, v_faces);
  v_media := array(select distinct media_id from memoria.faces where id = any (v_faces));

  insert into memoria.forgotten_faces (event_id, picture, x, y, w, h)
  select v_event.id, coalesce(media.digest, 'media:' || media.id), box.x, box.y, box.w, box.h
  from (
    select media_id, x, y, w, h from memoria.faces where id = any (v_faces)
    union all
    -- a pinned face that a later model missed may be found again by the next
    select media_id, x, y, w, h from memoria.corrections
    where kind = 'pin' and withdrawn_by is null and person_id = any (v_people) and face_id <> all (v_faces)
  ) as box join memoria.media on media.id = box.media_id;
  perform memoria.purge_changes(v_event.id, v_people, v_faces || array(
    select face_id from memoria.corrections
    where kind = 'pin' and withdrawn_by is null and person_id = any (v_people)
  ));
  update memoria.media set faces_detected = faces_detected - gone.faces
  from (
    select media_id, count(*) as faces from memoria.faces where id = any (v_faces) and detected group by media_id
  ) as gone
  where media.id = gone.media_id;
  delete from memoria.faces where id = any (v_faces);
  delete from memoria.persons where id = any (v_people);
  perform memoria.refresh_people(memoria.people_of_event(v_event.id));
  perform memoria.purge_derived(v_event.id, v_people, v_faces, v_media);
  insert into memoria.changes (event_id, kind, made_by)
  values (v_event.id, 'forgotten', (select auth.uid()));
  perform memoria.touch_people(v_event.id);
  perform memoria.touch_photos(v_event.id);
  if v_event.status = 'open' then
    -- groups that held together by the forgotten faces fall apart without them
    perform memoria.settle_event(v_event.id);
  end if;
  return jsonb_build_object('person_id', v_person.id, 'faces_forgotten', cardinality(v_faces));
end
$$;

-- Faces appear where a change made a drawn box hold, and go where it withdrew it and no model found one.
-- Raises 409 where that is a photo's 51st, or is forgotten.
create or replace function memoria.draw_faces(c memoria.changes) returns void
language plpgsql set search_path = '' as $$
declare
  v_drawn record;
  v_media memoria.media;
begin
  delete from memoria.faces using memoria.corrections as said
  where said.id = any (c.withdrew) and said.kind = 'drawn' and faces.id = said.face_id and not faces.detected;
  for v_drawn in
    select said.*, media.number, media.model from memoria.corrections as said
    join memoria.media on media.id = said.media_id
    where said.id = any (c.held) and said.kind = 'drawn' order by said.id
  loop
    if jsonb_array_length(memoria.drawn_in(v_drawn.media_id)) > memoria.most_drawn() then
      raise exception 'At most % faces may be drawn in a photo.', memoria.most_drawn() using errcode = 'PT409';
    end if;
    select * into v_media from memoria.media where id = v_drawn.media_id;
    if (memoria.face_at(v_media, to_jsonb(v_drawn))).is_forgotten then
      raise exception 'This face was forgotten.' using errcode = 'PT409';
    end if;
    insert into memoria.faces (
      id, event_id, media_id, media_number, x, y, w, h, score, quality, model, detected
    ) values (
      v_drawn.face_id, v_drawn.event_id, v_drawn.media_id, v_drawn.number, v_drawn.x, v_drawn.y, v_drawn.w,
      v_drawn.h, 0, 0, coalesce(v_drawn.model, ''), false
    ) on conflict (id) do nothing;
    perform memoria.read_again(v_drawn.media_id);
  end loop;
end
$$;

-- A face that a user drew, and whose it is. Where a face is known already it is that one.
create or replace function public.memoria_add_face(p_media_id text, p_bbox jsonb, p_person uuid default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_event constant memoria.events := memoria.lock_open_event(
    (select event_id from memoria.media where id = p_media_id), 'manage', 'photo'
  );
  v_media memoria.media;
  v_known record;
  v_person uuid;
  v_face uuid;
  c memoria.changes;
begin
  -- in that event, and not in one to which it went meanwhile
  select * into v_media from memoria.media where id = p_media_id and event_id = v_event.id;
  if not found then
    perform memoria.refuse_unknown('photo');
  end if;
  perform memoria.check_box(p_bbox);
  if p_person is not null then
    v_person := (memoria.person_within(v_media.event_id, p_person)).id;
  end if;
  select * into v_known from memoria.face_at(v_media, p_bbox);
  if v_known.is_forgotten then
    raise exception 'This face was forgotten.' using errcode = 'PT409';
  end if;
  c := memoria.begin_change(v_media.event_id, 'drawn', v_person);
  v_face := v_known.face_id;
  if v_face is null then
    v_face := gen_random_uuid();
    insert into memoria.faces (
      id, event_id, media_id, media_number, x, y, w, h, score, quality, model, detected
    ) values (
      v_face, v_media.event_id, v_media.id, v_media.number, (p_bbox ->> 'x')::real, (p_bbox ->> 'y')::real,
      (p_bbox ->> 'w')::real, (p_bbox ->> 'h')::real, 0, 0, coalesce(v_media.model, ''), false
    );
  end if;
  c := memoria.say(c, 'drawn', array[v_face]);
  if v_person is not null then
    c := memoria.give_faces(c, array[v_face], v_person);
  end if;
  c.faces := 1;
  return jsonb_build_object(
    'face_id', v_face, 'change_id', memoria.finish_change(c),
    'person_id', (select person_id from memoria.faces where id = v_face)
  ) || case when v_person <> p_person then jsonb_build_object('is_now', v_person) else '{}' end;
end
$$;

-- Whether a user said that these two are not one: told them apart, or took a face of one from the other.
create or replace function memoria.are_denied(p_one uuid, p_other uuid) returns boolean
language sql stable set search_path = '' as $$
  with ids as (select memoria.ids_of(array[p_one]) as one, memoria.ids_of(array[p_other]) as other)
  select exists (
    select from ids, lateral (
      select * from memoria.distinct_people where one_id = any (one || other)
      offset 0  -- each by its key: either side of the "or" alone has none
    ) as apart
    where (apart.one_id = any (one) and apart.other_id = any (other))
      or (apart.one_id = any (other) and apart.other_id = any (one))
  ) or exists (
    select from ids, lateral (
      select * from memoria.corrections
      where person_id = any (one || other) and kind = 'reject' and withdrawn_by is null
      offset 0  -- each by its key
    ) as said, lateral (
      select person_id from memoria.faces where faces.id = said.face_id
      offset 0  -- each by its key
    ) as face
    where (said.person_id = any (one) and face.person_id = p_other)
      or (said.person_id = any (other) and face.person_id = p_one)
  )
$$;

-- The questions of a run, in place of those before it. Of who was made a stranger meanwhile there are none.
create or replace function memoria.store_suggestions(p_event_id text, p_suggestions jsonb) returns void
language plpgsql set search_path = '' as $$
begin
  delete from memoria.suggestions where event_id = p_event_id and answer is null;
  insert into memoria.suggestions (
    id, event_id, kind, one_id, other_id, face_id, people, likelihood, weight, photos_together,
    evidence, candidates
  )
  select
    memoria.suggestion_id(p_event_id, kind, coalesce(face_id::text, one_id || '|' || other_id)),
    p_event_id, kind, one_id, other_id, face_id,
    case when face_id is null then array[one_id, other_id] else array(
      select (candidate ->> 'person_id')::uuid
      from jsonb_array_elements(still.candidates) with ordinality as item (candidate, n) order by n
    ) end,
    likelihood, weight, coalesce(photos_together, 0), still.evidence, still.candidates
  from (
    select asked.* from jsonb_to_recordset(p_suggestions) as asked (
      kind text, one_id uuid, other_id uuid, face_id uuid, likelihood real, weight real,
      photos_together integer, evidence jsonb, candidates jsonb
    )
    order by weight desc limit 500
  ) as asked, lateral (
    -- without whom a user forgot meanwhile, and who was new and has no faces, since users said whose they are
    select
      coalesce((
        select jsonb_agg(candidate order by n)
        from jsonb_array_elements(asked.candidates) with ordinality as item (candidate, n)
        where exists (
          select from memoria.persons where id = (candidate ->> 'person_id')::uuid and event_id = p_event_id
          offset 0  -- each by its key
        )
      ), '[]') as candidates,
      coalesce((
        select jsonb_agg(pair order by n)
        from jsonb_array_elements(asked.evidence) with ordinality as item (pair, n)
        where not exists (
          select from unnest(array[pair ->> 'face_id', pair ->> 'other_face_id']::uuid[]) as shown (id)
          where not exists (
            select from memoria.faces where faces.id = shown.id and event_id = p_event_id
            offset 0  -- each by its key
          )
        )
      ), '[]') as evidence
  ) as still
  where (face_id is null or still.candidates <> '[]' and exists (
      select from memoria.faces where id = face_id and event_id = p_event_id
    ))
    and (one_id is null or 2 = (
      select count(*) from memoria.persons where id in (one_id, other_id) and event_id = p_event_id
    ))
  on conflict (id) do update set
    likelihood = excluded.likelihood, weight = excluded.weight, photos_together = excluded.photos_together,
    evidence = excluded.evidence, candidates = excluded.candidates,
    people = case when suggestions.answer is null then excluded.people else suggestions.people end;
  update memoria.suggestions as asked set open = memoria.stands(asked)
  where event_id = p_event_id and open <> memoria.stands(asked);
  perform memoria.count_suggestions(p_event_id);
end
$$;

-- For one signed-in (or anonymous, but known to Auth) guest, for a quarter of an hour.
create or replace function public.memoria_open_search(p_event_id text, p_consent text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_token text := memoria.new_token();
  v_user uuid := (select auth.uid());
  v_link memoria.search_links;
begin
  perform memoria.lock_open_event(p_event_id, 'search');
  if v_user is null then
    perform memoria.refuse_unknown('event');
  elsif p_consent is distinct from memoria.setting('search_consent_version') #>> '{}' then
    raise exception 'Consent to the current text is required.'
    using errcode = 'PT403', detail = '{"code": "consent_required"}';
  elsif (
    select count(*) from memoria.search_links
    where event_id = p_event_id and user_id = v_user and created_at > clock_timestamp() - interval '15 minutes'
  ) >= 20 then
    raise exception 'Enough searches were opened: try again in some minutes.' using errcode = 'PT429';
  end if;
  insert into memoria.search_links (
    event_id, token_hash, user_id, created_by, expires_at, max_searches, per_guest, people_per_guest
  ) values (
    p_event_id, memoria.token_hash(v_token), v_user, v_user,
    clock_timestamp() + interval '15 minutes', 10, 10, 3
  ) returning * into v_link;
  return jsonb_build_object(
    'token', v_token, 'expires_at', v_link.expires_at, 'search_consent_version', p_consent
  );
end
$$;

-- After so many days the sweeper archives the event; null takes that back.
create or replace function public.memoria_set_retention(p_event_id text, p_days integer) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_at timestamptz;
begin
  perform memoria.lock_open_event(p_event_id, 'manage');
  if p_days not between 1 and 3650 then
    raise exception 'p_days must be from 1 to 3650, or null.' using errcode = '22023';
  end if;
  update memoria.events set
    archive_at = now() + make_interval(days => p_days),
    archive_time_by = case when p_days is not null then (select auth.uid()) end
  where id = p_event_id returning archive_at into v_at;
  return jsonb_build_object('event_id', p_event_id, 'archive_at', v_at);
end
$$;

-- That a link has answered as often as it may: it opens nothing any more until it ends. Null while it has not.
create or replace function memoria.used_up(p_link memoria.search_links) returns jsonb
language sql stable set search_path = '' as $$
  select memoria.too_many('this link has been used up', extract(epoch from p_link.expires_at - clock_timestamp()))
  where p_link.searches >= p_link.max_searches
$$;

revoke all on function memoria.used_up(memoria.search_links) from public, anon, authenticated, service_role;

-- Why this guest, link or event has had enough for now; null when it has not. Under the event's
-- advisory lock, so that searches at once are counted one after another.
create or replace function memoria.search_limit(p_link memoria.search_links, p_event_id text, p_guest bytea)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_times timestamptz[];
  v_per_minute integer := memoria.number('searches_per_minute');
  v_used_up jsonb := memoria.used_up(p_link);
begin
  if v_used_up is not null then
    return v_used_up;
  end if;
  if p_guest is not null then
    select array_agg(created_at order by created_at desc) into v_times from memoria.searches
    where event_id = p_event_id and guest = p_guest and created_at > clock_timestamp() - interval '10 minutes';
    if cardinality(v_times) >= coalesce(p_link.per_guest, 10) then
      return memoria.too_many('try again in some minutes', 600 - extract(
        epoch from clock_timestamp() - v_times[coalesce(p_link.per_guest, 10)]
      ));
    end if;
  end if;
  if (
    select count(*) from memoria.searches
    where event_id = p_event_id and created_at > clock_timestamp() - interval '1 minute'
  ) >= v_per_minute then
    return memoria.too_many('many people search this event now: try again in a minute', 60);
  end if;
  return null;
end
$$;

-- Checks, counts and notes the consent; the search counts from here on, whatever comes of it. A guest
-- comes with a token's SHA-256 in hex, the app's backend with the event.
create or replace function public.memoria_begin_search(
  p_token_hash text default null,
  p_event_id text default null,
  p_guest text default null,
  p_consent text default null
) returns jsonb
language plpgsql security definer set search_path = '' set statement_timeout = '5s' as $$
declare
  v_link memoria.search_links;
  v_event memoria.events;
  v_guest bytea;
  v_refusal jsonb;
  v_id uuid;
begin
  if p_token_hash is not null then
    v_link := memoria.open_link(p_token_hash);
  end if;
  -- first of all locks, so that deleting the event never meets a search half way
  select * into v_event from memoria.events
  where id = coalesce(v_link.event_id, case when p_token_hash is null then p_event_id end) for key share;
  if v_event.id is null or (p_event_id is not null and p_event_id <> v_event.id) then
    return jsonb_build_object('outcome', 'not_found');
  end if;
  v_guest := memoria.guest_hash(v_event.id, coalesce('user ' || v_link.user_id::text, 'guest ' || p_guest));
  v_refusal := memoria.used_up(v_link);
  if v_link.id is not null and v_guest is null then
    return jsonb_build_object('outcome', 'guest_required');
  elsif v_event.status = 'archived' then
    -- before anybody is asked for anything
    return jsonb_build_object('outcome', 'event_archived');
  elsif v_refusal is not null then
    return v_refusal;
  elsif p_consent is distinct from memoria.setting('search_consent_version') #>> '{}' then
    return jsonb_build_object('outcome', 'consent_required');
  elsif v_event.clustered_at is null then
    return jsonb_build_object('outcome', 'not_grouped_yet');
  end if;
  perform pg_advisory_xact_lock(hashtextextended('memoria search ' || v_event.id, 0));
  -- read again: other searches were counted meanwhile
  select * into v_link from memoria.search_links where id = v_link.id;
  v_refusal := memoria.search_limit(v_link, v_event.id, v_guest);
  if v_refusal is not null then
    return v_refusal;
  end if;
  update memoria.search_links set searches = searches + 1 where id = v_link.id;
  insert into memoria.searches (event_id, link_id, guest, consent)
  values (v_event.id, v_link.id, v_guest, p_consent) returning id into v_id;
  if v_guest is not null then
    insert into memoria.search_consents (event_id, guest, version)
    values (v_event.id, v_guest, p_consent) on conflict do nothing;
  end if;
  return jsonb_build_object('outcome', 'begun', 'search_id', v_id, 'event_id', v_event.id);
end
$$;

-- Today's photos of the same matches, without another selfie.
create or replace function public.memoria_search_again(
  p_search_id uuid, p_token_hash text default null, p_guest text default null, p_event_id text default null
) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '5s'
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_search memoria.searches := memoria.own_search(p_search_id, p_token_hash, p_guest, p_event_id);
  v_refusal jsonb;
  v_people uuid[];
  v_faces uuid[];
begin
  if v_search.id is null then
    return jsonb_build_object('outcome', 'not_found');
  elsif exists (select from memoria.events where id = v_search.event_id and status = 'archived') then
    return jsonb_build_object('outcome', 'event_archived');
  end if;
  v_refusal := memoria.count_again(v_search);
  if v_refusal is not null then
    return v_refusal;
  end if;
  -- people may have been merged or hidden since, loose faces may have found their person
  select array_agg(who.id) into v_people
  from (
    select memoria.root_of(person) as id from unnest(v_search.people) as person
    union
    select person_id from memoria.loose_faces_of(v_search) where person_id is not null
  ) as found, lateral (
    select * from memoria.persons where persons.id = found.id
    offset 0  -- each by its key
  ) as who
  where who.event_id = v_search.event_id and not who.hidden;
  v_faces := array(
    select id from memoria.loose_faces_of(v_search) where person_id is null and dismissed is null
  );
  return jsonb_build_object(
    'outcome', v_search.outcome, 'event_id', v_search.event_id,
    'photos', memoria.photos_of(v_people, v_faces, v_search.belongs, coalesce(
      (select maybe from memoria.search_links where id = v_search.link_id), true
    )),
    'complete', memoria.search_complete(v_search.event_id)
  );
end
$$;

-- Repairs what got lost and hands out what has become due; safe to run at any time, by anyone, twice.
create or replace function public.memoria_sweep() returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
set jit = off
as $$
declare
  v_event record;
  v_handed_over integer;
  v_report jsonb := '{"refused": 0, "runs_expired": 0, "nudges_expired": 0, "media_found": 0, "revived": 0, "cancelled": 0}';
  v_done jsonb;
begin
  update memoria.sweeps set swept_at = clock_timestamp() where only_one in (
    select only_one from memoria.sweeps for no key update skip locked
  );
  -- this waits for events: while none is held
  v_handed_over := memoria.retry_hand_overs();
  for v_event in select * from memoria.repairs() loop
    perform from memoria.events where id = v_event.event_id for no key update skip locked;
    continue when not found;
    begin
      v_done := memoria.repair_event(v_event.event_id, v_event.refused, v_event.revivable);
    exception when others then
      raise warning 'event % could not be repaired: %', v_event.event_id, sqlerrm;
      continue;
    end;
    v_report := (
      select jsonb_object_agg(key, value::integer + (v_done ->> key)::integer) from jsonb_each_text(v_report)
    );
  end loop;
  v_report := v_report || jsonb_build_object(
    'handed_over', v_handed_over, 'dispatches_pruned', memoria.prune_dispatches()
  );
  begin
    perform memoria.archive_one_due();
  exception when others then
    raise warning 'no event could be archived: %', sqlerrm;
  end;
  perform memoria.prune_searches();
  perform memoria.prune_changes();
  perform memoria.find_arrivals();
  v_report := v_report || jsonb_build_object('dispatched', jsonb_build_object(
    'process', memoria.dispatch('process'),
    'cluster', memoria.dispatch('cluster'),
    'callback', memoria.dispatch('callback')
  ));
  if current_setting('transaction_isolation') = 'read committed' then
    perform memoria.prune_lanes();
  end if;
  return v_report;
end
$$;

create or replace function memoria.new_face_id(p_media_id text, x real, y real, w real, h real, p_turn bigint)
returns uuid
language sql immutable set search_path = '' as $$
  select memoria.new_face_id(p_media_id, null, x, y, w, h, p_turn)
$$;

create or replace function memoria.check_pending(p_event_id text, p_more integer) returns void
language sql stable set search_path = '' as $$
  select memoria.check_pending(p_event_id, array_fill(null::memoria.handed, array[p_more]))
$$;

create or replace function memoria.retry_all(p_relation text, p_late bigint[]) returns void
language sql set search_path = '' as $$
  select memoria.retry_all(p_relation, p_late, to_regclass(p_relation))
$$;

-- Last: whether a row of a followed table waits is asked by every statement of the app's; what may be free, by every
-- sweep. What cannot be handed over meanwhile is written down there.
do $$
begin
  for v_try in 1..600 loop
    begin
      lock table memoria.hand_overs in share mode nowait;
      return;
    exception when lock_not_available then
      perform pg_sleep(0.1);
    end;
  end loop;
  raise exception 'Memoria is at work: try again.' using errcode = '55P03';
end
$$;
create index if not exists hand_overs_kept_out on memoria.hand_overs (id) where failed and code in ('id_taken', 'event_of_a_user');
create index if not exists hand_overs_row on memoria.hand_overs (relation, row_id) where failed;

-- Followed tables of which something went by unnoticed, or will.
create or replace view memoria.broken_follows with (security_invoker = true) as
  select relation, reason from memoria.followed, lateral (
    select coalesce(broken, case
      when to_regclass(relation) is null then 'There is no such table any more: was it renamed?'
      when (
        select count(*) from pg_trigger
        where tgrelid = to_regclass(relation) and tgfoid = 'memoria.follow_changes()'::regprocedure
          and tgenabled in ('O', 'A')
      ) < 4 then 'Its triggers are missing or off.'
      when exists (
        select from jsonb_each_text(columns) as named
        where named.key <> 'bucket' and not exists (
          select from pg_attribute
          where attrelid = to_regclass(relation) and attname = named.value and attnum > 0 and not attisdropped
        )
      ) then 'A column by which it is followed is missing.'
      when not memoria.is_unique(to_regclass(relation), columns ->> 'id')
        then 'Two of its rows may have one id: give that column alone a primary key or a unique index.'
    end) as reason
  ) as told
  where reason is not null;
