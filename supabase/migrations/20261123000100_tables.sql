-- The tables of Memoria. No role but their owner touches them: apps and workers go through the
-- functions `public.memoria_…`. Ids of events and media are the app's own.

create schema if not exists extensions;
create extension if not exists vector with schema extensions;

create schema memoria;
comment on schema memoria is 'Finds the people in the photos of an event. Reached through public.memoria_… only.';
revoke all on schema memoria from public;

create table memoria.events (
  id text primary key,
  owner_id uuid,
  status text not null default 'open',
  created_at timestamptz not null default now(),
  clustered_at timestamptz,
  constraint events_id_length check (char_length(id) between 1 and 200),
  constraint events_status_known check (status in ('open', 'archived'))
);
create index events_owner on memoria.events (owner_id);

create table memoria.media (
  id text primary key,
  event_id text not null references memoria.events on delete cascade,
  bucket text not null,
  path text not null,
  status text not null default 'pending',
  error_code text,
  error_message text,
  model text,
  width integer,
  height integer,
  faces_detected integer,
  created_at timestamptz not null default now(),
  completed_at timestamptz,
  constraint media_id_length check (char_length(id) between 1 and 200),
  constraint media_status_known check (status in ('pending', 'completed', 'failed'))
);
create index media_event on memoria.media (event_id);
-- what "the last photo of the event is done" is asked of, so it must not grow with the event
create index media_pending on memoria.media (event_id) where status = 'pending';

create table memoria.persons (
  id uuid primary key default gen_random_uuid(),
  event_id text not null references memoria.events on delete cascade,
  name text,
  hidden boolean not null default false,
  merged_into uuid references memoria.persons on delete set null,
  cluster_label integer,
  face_count integer not null default 0,
  representative_face_id uuid,
  avg_quality real,
  centroid extensions.vector(512),
  model text,
  created_at timestamptz not null default now(),
  constraint persons_name_length check (char_length(name) between 1 and 200),
  constraint persons_not_merged_into_themselves check (merged_into <> id)
);
create index persons_event on memoria.persons (event_id);
create index persons_merged_into on memoria.persons (merged_into) where merged_into is not null;

-- Boxes are fractions of the upright image: x y of the top left corner, width, height.
create table memoria.faces (
  id uuid primary key,
  event_id text not null references memoria.events on delete cascade,
  media_id text not null references memoria.media on delete cascade,
  x real not null,
  y real not null,
  w real not null,
  h real not null,
  landmarks real[] not null,
  score real not null,
  quality real not null,
  model text not null,
  -- null once the event is archived
  embedding extensions.vector(512),
  -- what the machine says, and what people see: the root of identity_id under persons.merged_into
  identity_id uuid references memoria.persons on delete set null,
  person_id uuid references memoria.persons on delete set null,
  created_at timestamptz not null default now(),
  constraint faces_box_in_image check (
    x between 0 and 1 and y between 0 and 1 and w between 0 and 1 and h between 0 and 1
  ),
  constraint faces_five_landmarks check (cardinality(landmarks) = 10),
  constraint faces_score_range check (score between 0 and 1),
  constraint faces_quality_range check (quality between 0 and 1)
);
create index faces_event on memoria.faces (event_id, id);
create index faces_media on memoria.faces (media_id);
create index faces_identity on memoria.faces (identity_id);
create index faces_person on memoria.faces (person_id);

-- What a user said of a face. It names the photo and the box too, so that it outlives the face's row.
create table memoria.corrections (
  id bigint generated always as identity primary key,
  event_id text not null references memoria.events on delete cascade,
  kind text not null,
  face_id uuid,
  media_id text not null references memoria.media on delete cascade,
  x real not null,
  y real not null,
  w real not null,
  h real not null,
  person_id uuid not null references memoria.persons on delete cascade,
  created_at timestamptz not null default now(),
  created_by uuid,
  constraint corrections_kind_known check (kind in ('pin', 'reject'))
);
create index corrections_event on memoria.corrections (event_id);
create index corrections_face on memoria.corrections (face_id);
create index corrections_media on memoria.corrections (media_id);
create index corrections_person on memoria.corrections (person_id);

-- What happened to people, by a run (job_id) or by a user. The people named may be gone since.
create table memoria.person_changes (
  id bigint generated always as identity primary key,
  event_id text not null references memoria.events on delete cascade,
  job_id uuid,
  kind text not null,
  person_id uuid not null,
  other_person_id uuid,
  faces integer,
  created_at timestamptz not null default now()
);
create index person_changes_event on memoria.person_changes (event_id, id);
create index person_changes_person on memoria.person_changes (person_id);

-- Tombstones: nothing of the person is left in them but where not to look again.
create table memoria.forgotten_faces (
  id bigint generated always as identity primary key,
  event_id text not null references memoria.events on delete cascade,
  media_id text not null references memoria.media on delete cascade,
  x real not null,
  y real not null,
  w real not null,
  h real not null,
  created_at timestamptz not null default now()
);
create index forgotten_faces_event on memoria.forgotten_faces (event_id);
create index forgotten_faces_media on memoria.forgotten_faces (media_id);

-- One row per piece of work: the truth that a lost webhook cannot change.
create table memoria.jobs (
  id uuid primary key default gen_random_uuid(),
  kind text not null,
  event_id text not null references memoria.events on delete cascade,
  media_id text references memoria.media on delete cascade,
  -- of a callback: the job whose outcome it tells
  source_job_id uuid references memoria.jobs on delete cascade,
  status text not null default 'queued',
  attempts integer not null default 0,
  max_attempts integer not null,
  run_after timestamptz not null default now(),
  leased_until timestamptz,
  token uuid,
  error_code text,
  error_message text,
  payload jsonb,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  constraint jobs_kind_known check (kind in ('process', 'cluster', 'callback')),
  constraint jobs_status_known check (
    status in ('queued', 'dispatched', 'running', 'completed', 'failed', 'cancelled')
  ),
  constraint jobs_process_names_its_media check (kind <> 'process' or media_id is not null),
  constraint jobs_callback_names_its_source check ((kind = 'callback') = (source_job_id is not null)),
  constraint jobs_leased_while_out check ((status in ('dispatched', 'running')) = (leased_until is not null)),
  constraint jobs_token_while_running check ((status = 'running') = (token is not null)),
  constraint jobs_finished_at_an_end check (
    (status in ('completed', 'failed', 'cancelled')) = (finished_at is not null)
  )
);
create index jobs_event on memoria.jobs (event_id);
create index jobs_media on memoria.jobs (media_id);
create index jobs_source on memoria.jobs (source_job_id);
create index jobs_waiting on memoria.jobs (kind, event_id, run_after, id) where status = 'queued';
create index jobs_in_flight on memoria.jobs (kind, event_id, leased_until) where status in ('dispatched', 'running');
create index jobs_ended_badly on memoria.jobs (kind, error_code) where status = 'failed';
create unique index jobs_one_process_per_media on memoria.jobs (media_id)
  where kind = 'process' and status in ('queued', 'dispatched', 'running');
-- One cluster job may wait while another runs: photos that arrive during clustering ask for it.
create unique index jobs_one_cluster_waiting on memoria.jobs (event_id)
  where kind = 'cluster' and status in ('queued', 'dispatched');
create unique index jobs_one_cluster_running on memoria.jobs (event_id)
  where kind = 'cluster' and status = 'running';

-- One row per nudge; an INSERT webhook hangs here.
create table memoria.dispatches (
  id bigint generated always as identity primary key,
  service text not null,
  kind text not null,
  job_id uuid not null references memoria.jobs on delete cascade,
  event_id text not null,
  media_id text,
  created_at timestamptz not null default clock_timestamp(),
  -- pg_net's id of the POST, to look up what it came to
  request_id bigint,
  constraint dispatches_service_known check (service in ('process', 'cluster')),
  constraint dispatches_kind_known check (kind in ('process', 'cluster', 'callback'))
);
create index dispatches_job on memoria.dispatches (job_id);
create index dispatches_served on memoria.dispatches (kind, event_id, id);
create index dispatches_age on memoria.dispatches (created_at);

create table memoria.settings (
  key text primary key,
  value jsonb not null
);

alter table memoria.events enable row level security;
alter table memoria.media enable row level security;
alter table memoria.persons enable row level security;
alter table memoria.faces enable row level security;
alter table memoria.corrections enable row level security;
alter table memoria.person_changes enable row level security;
alter table memoria.forgotten_faces enable row level security;
alter table memoria.jobs enable row level security;
alter table memoria.dispatches enable row level security;
alter table memoria.settings enable row level security;
revoke all on all tables in schema memoria from public, anon, authenticated, service_role;
