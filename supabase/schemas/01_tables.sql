-- The tables. No role but their owner touches them: apps and workers go through public.memoria_….

create table memoria.events (
  id text primary key,
  owner_id uuid,
  -- the user who made it; null when the app's backend or a followed table did
  made_by uuid,
  status text not null default 'open',
  created_at timestamptz not null default now(),
  clustered_at timestamptz,
  -- since when photos wait that no run has grouped; null when every photo is grouped
  ungrouped_since timestamptz,
  -- runs in a row that had to leave photos out: each doubles the next wait
  incomplete_runs integer not null default 0,
  last_run_seconds real not null default 0,
  -- when the sweeper archives it, if ever, and the user who said so; null when the app's backend did
  archive_at timestamptz,
  archive_time_by uuid,
  -- of an archived event: the user who did it, or had it done by then; null when the app's backend did
  archived_by uuid,
  -- how its photos stood when they were last counted: memoria.tell_progress
  counts jsonb,
  counted_at timestamptz not null default '-infinity',
  -- change with what pages show: who is who, and which photos there are
  people_version bigint not null default 1,
  -- how many questions to users wait, by kind
  open_suggestions jsonb not null default '{}',
  photos_version bigint not null default 1,
  constraint events_id_valid check (memoria.is_id(id)),
  constraint events_status_known check (status in ('open', 'archived'))
);
create index events_owner on memoria.events (owner_id);
create index events_archive_at on memoria.events (archive_at) where archive_at is not null and status <> 'archived';

-- The owner of an event is always its host and needs no row.
create table memoria.members (
  event_id text not null references memoria.events on delete cascade,
  user_id uuid not null,
  role text not null,
  added_by uuid,
  added_at timestamptz not null default now(),
  primary key (event_id, user_id),
  constraint members_role_known check (role in ('host', 'cohost', 'contributor', 'viewer'))
);
create index members_user on memoria.members (user_id);
create index members_page on memoria.members (event_id, added_at, user_id);

create table memoria.media (
  id text primary key,
  -- the order of arrival: what pages of photos are keyed by
  number bigint generated always as identity,
  event_id text not null references memoria.events on delete cascade,
  bucket text not null,
  path text not null,
  -- a smaller rendition beside the original, for screens
  preview_path text,
  -- the user who handed it over, and the app's table that it follows
  added_by uuid,
  source text,
  status text not null default 'pending',
  error_code text,
  error_message text,
  -- SHA-256 of the bytes that were looked at
  digest text,
  model text,
  width integer,
  height integer,
  faces_detected integer,
  created_at timestamptz not null default now(),
  -- since when it lies where it lies
  placed_at timestamptz not null default now(),
  completed_at timestamptz,
  -- when its faces were found: those of another picture, where it was placed since
  looked_at timestamptz,
  constraint media_id_valid check (memoria.is_id(id)),
  constraint media_bucket_valid check (memoria.is_bucket(bucket)),
  constraint media_path_valid check (memoria.is_object_name(bucket, path)),
  constraint media_preview_valid check (preview_path is null or memoria.is_object_name(bucket, preview_path)),
  constraint media_digest_valid check (digest ~ '^[0-9a-f]{64}$'),
  constraint media_status_known check (status in ('pending', 'completed', 'failed'))
);
create index media_event on memoria.media (event_id, number);
create index media_by_status on memoria.media (event_id, status, number);
-- what "the last photo of the event is done" is asked of, so it must not grow with the event
create index media_pending on memoria.media (event_id) where status = 'pending';
-- copies of one picture
create index media_digest on memoria.media (event_id, digest) where digest is not null;
create index media_source on memoria.media (source) where source is not null;

create table memoria.persons (
  id uuid primary key default gen_random_uuid(),
  event_id text not null references memoria.events on delete cascade,
  name text,
  name_key text generated always as (memoria.name_key(name)) stored,
  hidden boolean not null default false,
  -- a statue, a poster: kept so that its photos go nowhere else, and shown to nobody
  nobody boolean not null default false,
  -- a person that was merged away keeps its row, so that its id stays good
  merged_into uuid references memoria.persons on delete set null,
  -- of the last run: 0 is the largest person
  cluster_label integer,
  face_count integer not null default 0,
  representative_face_id uuid,
  avg_quality real,
  -- the unit mean of the identity's vectors, computed here and nowhere else
  centroid extensions.vector(512),
  -- how many vectors it is the mean of, and the mean's length before it was made unit: 1 where all are alike
  centroid_faces integer,
  mean_length real,
  model text,
  created_at timestamptz not null default now(),
  constraint persons_name_length check (char_length(name) between 1 and 200),
  constraint persons_not_merged_into_themselves check (merged_into <> id)
);
create index persons_event on memoria.persons (event_id);
create index persons_merged_into on memoria.persons (merged_into) where merged_into is not null;
create index persons_page on memoria.persons (event_id, hidden, (-face_count), id)
  where merged_into is null and (face_count > 0 or name is not null);
create index persons_named on memoria.persons (event_id, name_key) where name is not null;

-- Boxes are fractions of the upright image: x y of the top left corner, width, height.
create table memoria.faces (
  id uuid primary key,
  event_id text not null references memoria.events on delete cascade,
  media_id text not null references memoria.media on delete cascade,
  -- the photo's number, here too, so that a person's photos are read in their order
  media_number bigint not null,
  x real not null,
  y real not null,
  w real not null,
  h real not null,
  -- null of a drawn face in which no model finds them
  landmarks real[],
  score real not null,
  quality real not null,
  model text not null,
  -- null once the event is archived, and of a drawn face that no model can read
  embedding extensions.vector(512),
  -- what the machine says, and what people see: the root of identity_id under persons.merged_into
  identity_id uuid references memoria.persons on delete set null,
  person_id uuid references memoria.persons on delete set null,
  -- whether a model found it; if not, a user drew it
  detected boolean not null default true,
  -- what a user said instead of whose it is: no_face or nobody
  dismissed text,
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
-- nobody's faces are in none of these: no plan looks for one event's among those of all
create index faces_identity on memoria.faces (identity_id) where identity_id is not null;
create index faces_person on memoria.faces (person_id, media_number) where person_id is not null;
create index faces_best on memoria.faces (person_id, quality desc, id) where person_id is not null;
create index faces_nobodys on memoria.faces (event_id, media_number, id)
  where person_id is null and dismissed is null;

-- What happened to people: by a run (job_id), or by a user, who can take it back. The people named may be
-- gone since. A user's change keeps what undoing it takes: ids and what stood in a few columns, no vectors.
create table memoria.changes (
  id bigint generated always as identity primary key,
  event_id text not null references memoria.events on delete cascade,
  kind text not null,
  job_id uuid,
  made_by uuid,
  person_id uuid,
  other_person_id uuid,
  faces integer,
  -- what it takes back, the first change of such a row, whether the first one holds after it, and by what
  -- it was taken back itself
  undoes bigint,
  root_id bigint,
  applies boolean not null default true,
  undone_by bigint,
  -- values by name (memoria.value_of), and which corrections it made hold and withdrew
  before jsonb,
  after jsonb,
  held bigint[],
  withdrew bigint[],
  -- what it changes and what it takes for granted: a later change that meets what this one changed
  -- rests on it
  touches text[],
  relies_on text[],
  created_at timestamptz not null default clock_timestamp()
);
create index changes_event on memoria.changes (event_id, id);
create index changes_root on memoria.changes (root_id, id) where root_id is not null;
create index changes_age on memoria.changes (created_at) where before is not null;

create table memoria.change_people (
  change_id bigint not null references memoria.changes on delete cascade,
  person_id uuid not null,
  primary key (change_id, person_id)
);
create index change_people_person on memoria.change_people (person_id, change_id);

-- What a user said of a face. It names the photo and the box too, so that it outlives the face's row.
--   pin, reject      it is this person's; it is not
--   cover            it is what this person is shown by
--   no_face, nobody  it is no face; it is a face, of a statue or a poster, and nobody's
--   drawn            it is there, whether or not a model finds it
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
  person_id uuid references memoria.persons on delete cascade,
  -- the change that took it back or said otherwise since; it holds while this is null
  withdrawn_by bigint references memoria.changes on delete cascade,
  -- whether it took the face from an identity (or from nobody), and from which
  moved boolean not null default false,
  was uuid,
  created_at timestamptz not null default now(),
  created_by uuid,
  constraint corrections_kind_known check (
    kind in ('pin', 'reject', 'cover', 'no_face', 'nobody', 'drawn')
  ),
  constraint corrections_name_a_person check ((kind in ('pin', 'reject', 'cover')) = (person_id is not null))
);
create index corrections_event on memoria.corrections (event_id);
create index corrections_face on memoria.corrections (face_id);
create index corrections_media on memoria.corrections (media_id);
create index corrections_person on memoria.corrections (person_id);
create index corrections_withdrawn on memoria.corrections (withdrawn_by) where withdrawn_by is not null;

-- Two people whom a user told apart: no run and no model makes them one.
create table memoria.distinct_people (
  event_id text not null references memoria.events on delete cascade,
  one_id uuid not null references memoria.persons on delete cascade,
  other_id uuid not null references memoria.persons on delete cascade,
  primary key (one_id, other_id),
  constraint distinct_people_in_order check (one_id < other_id)
);
create index distinct_people_event on memoria.distinct_people (event_id);
create index distinct_people_other on memoria.distinct_people (other_id);

-- Tombstones: where not to look again, in which picture of the event. They outlive the photo's row.
create table memoria.forgotten_faces (
  id bigint generated always as identity primary key,
  event_id text not null references memoria.events on delete cascade,
  -- the picture's digest, or media:<id> where the worker sent none
  picture text not null,
  x real not null,
  y real not null,
  w real not null,
  h real not null,
  created_at timestamptz not null default now()
);
create index forgotten_faces_picture on memoria.forgotten_faces (event_id, picture);

-- One row per piece of work: the truth that a lost webhook cannot change.
create table memoria.jobs (
  id uuid primary key default gen_random_uuid(),
  kind text not null,
  event_id text not null references memoria.events on delete cascade,
  media_id text references memoria.media on delete cascade,
  -- of a callback: the job whose outcome it tells
  source_job_id uuid references memoria.jobs on delete cascade,
  status text not null default 'queued',
  -- claims so far; of them: failures that the work itself caused, and workers that died
  tries integer not null default 0,
  attempts integer not null default 0,
  deaths integer not null default 0,
  max_attempts integer not null,
  -- since when something outside the work keeps it from being done, and how often that was met
  waiting_since timestamptz,
  waits integer not null default 0,
  waiting boolean not null generated always as (waiting_since is not null) stored,
  revived boolean not null default false,
  run_after timestamptz not null default now(),
  -- of a clustering: from when on it no longer waits for photos under way
  no_later_than timestamptz,
  leased_until timestamptz,
  started_at timestamptz,
  token uuid,
  error_code text,
  error_message text,
  -- of a callback: what to tell; of a photo: where the worker was sent to look
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
create index jobs_event on memoria.jobs (event_id, kind, status);
create index jobs_media on memoria.jobs (media_id);
create index jobs_source on memoria.jobs (source_job_id);
create index jobs_queued on memoria.jobs (kind, event_id, waiting, run_after, id)
  where status = 'queued';
create index jobs_in_flight on memoria.jobs (kind, leased_until) where status in ('dispatched', 'running');
create index jobs_waiting on memoria.jobs (event_id) where waiting_since is not null and finished_at is null;
create index jobs_ended_badly on memoria.jobs (kind, error_code) where status = 'failed';
create index jobs_died_waiting on memoria.jobs (kind, finished_at)
  where status = 'failed' and waiting_since is not null and not revived;
create index jobs_completed on memoria.jobs (kind, finished_at) where status = 'completed';
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
  -- pg_net's id of the POST, to look up what it came to; ids start anew after a crash
  request_id bigint,
  constraint dispatches_service_known check (service in ('process', 'cluster')),
  constraint dispatches_kind_known check (kind in ('process', 'cluster', 'callback'))
);
create index dispatches_job on memoria.dispatches (job_id, id);
create index dispatches_age on memoria.dispatches (created_at);

-- The app's own tables whose rows are photos; docs/sql-surface.md, memoria_follow.
create table memoria.followed (
  relation text primary key,
  columns jsonb not null,
  created_at timestamptz not null default now(),
  -- when the sweeper last tried again what it could not hand over
  retried_at timestamptz not null default '-infinity',
  -- why changes of it went by unnoticed, since it was last followed
  broken text
);

-- What could not be handed over, and whose ids collided: seen in event_status and memoria doctor.
create table memoria.hand_overs (
  id bigint generated always as identity primary key,
  relation text not null,
  row_id text not null,
  event_id text,
  code text not null,
  message text not null,
  -- one that failed is gone when it succeeds; a collision stays on record
  failed boolean not null,
  -- how often it alone failed when it was tried again
  tries integer not null default 0,
  created_at timestamptz not null default clock_timestamp()
);
create unique index hand_overs_failed on memoria.hand_overs (relation, row_id)
  where failed and code <> 'not_handed_over';
-- a row that is late twice is here twice: whoever writes it down waits for nobody, and what is noted while a sweep
-- tries again what was noted before stays
create index hand_overs_late on memoria.hand_overs (relation, tries, id) where failed and code = 'not_handed_over';
-- what may be free meanwhile: asked by every sweep
create index hand_overs_kept_out on memoria.hand_overs (id) where failed and code in ('id_taken', 'event_of_a_user');
-- whether a row waits: asked by every statement of the app's
create index hand_overs_row on memoria.hand_overs (relation, row_id) where failed;
create index hand_overs_event on memoria.hand_overs (event_id);

alter table memoria.events enable row level security;
alter table memoria.members enable row level security;
alter table memoria.media enable row level security;
alter table memoria.persons enable row level security;
alter table memoria.faces enable row level security;
alter table memoria.corrections enable row level security;
alter table memoria.changes enable row level security;
alter table memoria.change_people enable row level security;
alter table memoria.distinct_people enable row level security;
alter table memoria.forgotten_faces enable row level security;
alter table memoria.jobs enable row level security;
alter table memoria.dispatches enable row level security;
alter table memoria.followed enable row level security;
alter table memoria.hand_overs enable row level security;
