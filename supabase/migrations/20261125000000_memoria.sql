-- Written by python -m local.supabase.schemas: change supabase/schemas instead.

-- 00_schema.sql

-- The schema, and what a name may look like. Ids of events and media are the app's own.

create schema if not exists extensions;
create extension if not exists vector with schema extensions;

create schema memoria;
comment on schema memoria is 'Finds the people in the photos of an event. Reached through public.memoria_… only.';
revoke all on schema memoria from public;

-- The rule of contracts.py: 1 to 200 characters, none of them a control character.
create function memoria.is_id(p_text text) returns boolean
language sql immutable set search_path = '' as $$
  select p_text is not null and char_length(p_text) between 1 and 200
    and p_text !~ '[\u0001-\u001f\u007f]'
$$;

-- A Storage bucket, or gs://name for Google Cloud Storage.
create function memoria.is_bucket(p_text text) returns boolean
language sql immutable set search_path = '' as $$
  select p_text is not null and char_length(p_text) between 1 and 222
    and p_text ~ '^(gs://)?[^/%?#\\[:space:][:cntrl:]][^/%?#\\[:cntrl:]]*$'
    and p_text not in ('.', '..', 'gs://.', 'gs://..')
$$;

-- Whether a name is written as storage will be asked for it. Storage's client decodes %2E, drops empty
-- segments and refuses dots, so that another spelling would name another object than was compared.
create function memoria.is_object_name(p_bucket text, p_text text) returns boolean
language sql immutable set search_path = '' as $$
  select p_text is not null and char_length(p_text) between 1 and 1024
    and p_text !~ '[\u0001-\u001f\u007f]'
    and (p_bucket like 'gs://%' or (
      p_text !~ '%' and p_text !~ '(^|/)(\.{0,2})(/|$)'
    ))
$$;

-- How names of people are compared: without case, accents and blanks around or doubled.
create function memoria.name_key(p_name text) returns text
language sql immutable set search_path = '' as $$
  select replace(replace(replace(translate(
    regexp_replace(
      lower(regexp_replace(normalize(btrim(p_name), nfkd), '[\u0300-\u036f]', '', 'g')), '\s+', ' ', 'g'
    ),
    'øłđðı', 'olddi'), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe')
$$;

-- Null where the text is no uuid.
create function memoria.as_uuid(p_text text) returns uuid
language sql immutable set search_path = '' as $$
  select case when p_text ~* '^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$' then p_text::uuid end
$$;

-- 01_tables.sql

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
  -- when the sweeper archives it, if ever
  archive_at timestamptz,
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

-- 02_settings.sql

-- Settings, changed with public.memoria_configure: each has a type, a least and a most.

create table memoria.settings (
  key text primary key,
  value jsonb not null,
  -- whole, number, boolean or text
  type text not null,
  least numeric,
  most numeric,
  -- one value for each of process, cluster and callback
  per_kind boolean not null default false,
  constraint settings_type_known check (type in ('whole', 'number', 'boolean', 'text', 'url', 'secret')),
  constraint settings_numbers_have_limits check (
    (type in ('whole', 'number')) = (least is not null and most is not null)
  )
);
alter table memoria.settings enable row level security;

insert into memoria.settings (key, value, type, least, most, per_kind) values
  ('max_in_flight', '{"process": 32, "cluster": 2, "callback": 16}', 'whole', 0, 10000, true),
  -- failures that the work itself causes, before the dead end
  ('max_attempts', '{"process": 5, "cluster": 5, "callback": 10}', 'whole', 1, 100, true),
  -- workers that may die over one job: counted apart, since most deaths are nobody's fault
  ('max_deaths', '10', 'whole', 1, 100, false),
  -- how long an outage outside is ridden out
  ('outside_patience_hours', '72', 'number', 0.01, 8760, false),
  -- how long a running worker may stay silent; it extends its lease with a heartbeat
  ('run_lease_seconds', '{"process": 120, "cluster": 300, "callback": 60}', 'number', 1, 86400, true),
  -- how long a nudge may take to arrive before its slot goes to another
  ('dispatch_lease_seconds', '60', 'number', 1, 3600, false),
  ('backoff_first_seconds', '5', 'number', 0.01, 3600, false),
  ('backoff_most_seconds', '900', 'number', 0.01, 86400, false),
  ('outside_backoff_most_seconds', '1800', 'number', 0.01, 86400, false),
  -- an object may be uploaded after its row, and permissions take minutes to arrive
  ('young_seconds', '600', 'number', 0, 86400, false),
  -- guests upload one by one: wait this long after the last photo before clustering
  ('quiet_period_seconds', '10', 'number', 0, 86400, false),
  -- but no longer than this after the first photo that is not grouped, doubling up to the most
  ('cluster_wait_seconds', '60', 'number', 0, 86400, false),
  ('cluster_wait_most_seconds', '900', 'number', 0, 86400, false),
  ('max_pending_per_owner', '100000', 'whole', 1, 100000000, false),
  ('callbacks', 'true', 'boolean', null, null, false),
  -- pg_net waits for the slowest of a batch, and takes 0 for no timeout at all
  ('nudge_timeout_ms', '5000', 'whole', 100, 60000, false),
  ('sweep_seconds', '30', 'number', 1, 3600, false),
  ('keep_dispatches_hours', '24', 'number', 0.1, 8760, false),
  -- search by selfie: the version of the text that guests accept, the audit, and a limit for each event
  ('search_consent_version', '"1"', 'text', null, null, false),
  ('keep_searches_days', '30', 'whole', 1, 3650, false),
  ('searches_per_minute', '600', 'whole', 1, 100000, false),
  -- where there is no Vault; Vault's memoria_process_url, … win over these
  ('process_url', 'null', 'url', null, null, false),
  ('cluster_url', 'null', 'url', null, null, false),
  ('webhook_secret', 'null', 'secret', null, null, false);

create function memoria.setting(p_key text) returns jsonb
language sql stable set search_path = '' as $$
  select value from memoria.settings where key = p_key
$$;

create function memoria.setting_of(p_key text, p_kind text) returns numeric
language sql stable set search_path = '' as $$
  select (value ->> p_kind)::numeric from memoria.settings where key = p_key
$$;

create function memoria.number(p_key text) returns numeric
language sql stable set search_path = '' as $$
  select (value #>> '{}')::numeric from memoria.settings where key = p_key
$$;

create function memoria.seconds(p_key text) returns interval
language sql stable set search_path = '' as $$
  select make_interval(secs => (value #>> '{}')::double precision) from memoria.settings where key = p_key
$$;

create function memoria.seconds_of(p_key text, p_kind text) returns interval
language sql stable set search_path = '' as $$
  select make_interval(secs => (value ->> p_kind)::double precision) from memoria.settings where key = p_key
$$;

-- What Vault says of a value; null where there is no Vault, or none that can be decrypted.
create function memoria.vault_value(p_name text, out value text, out fault text)
language plpgsql stable set search_path = '' as $$
begin
  if to_regclass('vault.decrypted_secrets') is not null then
    execute 'select decrypted_secret from vault.decrypted_secrets where name = $1'
      into value using 'memoria_' || p_name;
  end if;
exception when others then
  -- after its root key changed, every read raises
  value := null;
  fault := sqlerrm;
end
$$;

-- A URL or the secret: Vault's where there is a Vault that has it, else the setting.
create function memoria.secret(p_name text) returns text
language sql stable set search_path = '' as $$
  select coalesce((memoria.vault_value(p_name)).value, memoria.setting(p_name) #>> '{}')
$$;

-- Why one number cannot be that setting's, or null.
create function memoria.number_fault(p_name text, p_value jsonb, p_setting memoria.settings) returns text
language sql stable set search_path = '' as $$
  select case
    when jsonb_typeof(p_value) <> 'number' then format('%s must be a number.', p_name)
    when p_value::numeric not between p_setting.least and p_setting.most
      then format('%s must be from %s to %s.', p_name, p_setting.least, p_setting.most)
    when p_setting.type = 'whole' and p_value::numeric <> trunc(p_value::numeric)
      then format('%s must be a whole number.', p_name)
  end
$$;

-- Why a value cannot be that setting's, or null.
create function memoria.setting_fault(p_key text, p_value jsonb) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_setting memoria.settings;
  v_text text := p_value #>> '{}';
begin
  select * into v_setting from memoria.settings where key = p_key;
  if not found then
    return format('There is no setting %s.', p_key);
  elsif v_setting.per_kind then
    if jsonb_typeof(p_value) <> 'object' or exists (
      select from jsonb_object_keys(p_value) as kind where kind not in ('process', 'cluster', 'callback')
    ) then
      return format('%s takes a number for process, cluster or callback.', p_key);
    end if;
    return (
      select string_agg(memoria.number_fault(p_key || '.' || kind, number, v_setting), ' ' order by kind)
      from jsonb_each(p_value) as given (kind, number)
    );
  elsif v_setting.type in ('whole', 'number') then
    return memoria.number_fault(p_key, p_value, v_setting);
  elsif v_setting.type = 'boolean' then
    return case when jsonb_typeof(p_value) <> 'boolean' then format('%s must be a boolean.', p_key) end;
  elsif p_value = 'null' then
    return case when v_setting.type = 'text' then format('%s must be text.', p_key) end;
  elsif jsonb_typeof(p_value) <> 'string' then
    return format('%s must be text.', p_key);
  elsif v_setting.type = 'url' and v_text !~ '^https?://[^/?#[:space:][:cntrl:]]+([/?#][^[:space:][:cntrl:]]*)?$' then
    return format('%s must be an http or https URL.', p_key);
  elsif v_setting.type = 'secret' and v_text like 'whsec\_%'
    and v_text !~ '^whsec_([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}[A-Za-z0-9+/=]=|[A-Za-z0-9+/]{4})$' then
    return format('%s must be base64 after whsec_.', p_key);
  elsif v_text = '' then
    return format('%s must not be empty.', p_key);
  elsif char_length(v_text) > 4096 then
    return format('%s must be at most 4096 characters.', p_key);
  end if;
  return null;
end
$$;

-- 03_signing.sql

-- Standard Webhooks signatures on core sha256(): pgcrypto is not everywhere.

-- HMAC-SHA-256 (RFC 2104): the key is padded with zeros to the block of 64 bytes.
create function memoria.hmac_sha256(p_key bytea, p_message bytea) returns bytea
language sql immutable strict set search_path = '' as $$
  with key as (
    select case when length(p_key) > 64 then sha256(p_key) else p_key end as bytes
  ), padded as (
    select bytes || decode(repeat('00', 64 - length(bytes)), 'hex') as bytes from key
  ), pads as (
    select
      decode(string_agg(lpad(to_hex(get_byte(bytes, i) # 54), 2, '0'), '' order by i), 'hex') as inner_pad,
      decode(string_agg(lpad(to_hex(get_byte(bytes, i) # 92), 2, '0'), '' order by i), 'hex') as outer_pad
    from padded, generate_series(0, 63) as i
  )
  select sha256(outer_pad || sha256(inner_pad || p_message)) from pads
$$;

-- The key of a secret: "whsec_…" is base64, anything else is taken as it is.
create function memoria.signing_key(p_secret text) returns bytea
language sql immutable strict set search_path = '' as $$
  select case
    when p_secret like 'whsec\_%' then decode(substr(p_secret, 7), 'base64')
    else convert_to(p_secret, 'UTF8')
  end
$$;

-- The headers that authenticate a body to its receiver, by the Standard Webhooks specification.
create function memoria.signed_headers(p_id text, p_at timestamptz, p_body text, p_secret text) returns jsonb
language sql immutable strict set search_path = '' as $$
  with stamp as (select floor(extract(epoch from p_at))::bigint::text as seconds)
  select jsonb_build_object(
    'webhook-id', p_id,
    'webhook-timestamp', seconds,
    'webhook-signature', 'v1,' || encode(memoria.hmac_sha256(
      memoria.signing_key(p_secret),
      convert_to(p_id || '.' || seconds || '.' || p_body, 'UTF8')
    ), 'base64')
  ) from stamp
$$;


-- 04_rights.sql

-- Who may do what. Each rule is one function that an app may replace (`create or replace function`,
-- same name and arguments); docs/sql-surface.md tells which function asks which.

-- host, cohost, contributor, viewer, or null for who has nothing to do with the event.
create function memoria.role_in(p_event_id text, p_user_id uuid) returns text
language sql stable security definer set search_path = '' as $$
  select case
    when exists (select from memoria.events where id = p_event_id and owner_id = p_user_id) then 'host'
    else (select role from memoria.members where event_id = p_event_id and user_id = p_user_id)
  end
$$;

create function memoria.can_create_event(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$
  select false
$$;
comment on function memoria.can_create_event(text) is
  'Whether the user may make an event of this id: replace its body with your app''s own rule.';

create function memoria.can_view_event(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$
  select memoria.role_in(p_event_id, (select auth.uid())) is not null
$$;
comment on function memoria.can_view_event(text) is
  'Whether the user may see photos and people of the event: replace its body with your app''s own rule.';

create function memoria.can_contribute_to_event(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$
  select coalesce(memoria.role_in(p_event_id, (select auth.uid())) in ('host', 'cohost', 'contributor'), false)
$$;
comment on function memoria.can_contribute_to_event(text) is
  'Whether the user may add photos to the event: replace its body with your app''s own rule.';

create function memoria.can_manage_event(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$
  select coalesce(memoria.role_in(p_event_id, (select auth.uid())) in ('host', 'cohost'), false)
$$;
comment on function memoria.can_manage_event(text) is
  'Whether the user may correct, remove and forget: replace its body with your app''s own rule.';

create function memoria.can_search_event(p_event_id text) returns boolean
language sql stable security definer set search_path = '' as $$
  select false
$$;
comment on function memoria.can_search_event(text) is
  'Whether the user may search the event by selfie: replace its body with your app''s own rule.';

-- Which objects a user may have processed: the worker reads them with rights that the user has not, so
-- by default only what they uploaded themselves. Names are compared as storage will be asked for them.
create function memoria.can_use_object(p_bucket text, p_path text) returns boolean
language plpgsql stable security definer set search_path = '' as $$
declare
  v_theirs boolean;
begin
  if p_bucket like 'gs://%' or not memoria.is_bucket(p_bucket) or not memoria.is_object_name(p_bucket, p_path) then
    return false;
  elsif to_regclass('storage.objects') is null then
    return true;  -- not Supabase Storage: nothing is known of whose an object is
  end if;
  execute 'select exists (
      select from storage.objects where bucket_id = $1 and name = $2 and owner_id = auth.uid()::text
    )' into v_theirs using p_bucket, p_path;
  return v_theirs;
end
$$;
comment on function memoria.can_use_object(text, text) is
  'Which stored objects a user may hand over: replace its body with your app''s own rule.';

-- The service role and the owner of these functions. Meant for the inside of security definer
-- functions, where current_user is that owner while the setting "role" still names the caller.
create function memoria.caller_is_trusted() returns boolean
language sql stable set search_path = '' as $$
  with caller as (
    select coalesce(nullif(current_setting('role', true), 'none'), session_user) as name
  )
  select name = 'service_role' or pg_has_role(name::name, current_user, 'usage') from caller
$$;

-- The one answer to whoever may not, and to whoever named what is not there.
create function memoria.refuse_unknown(p_what text) returns void
language plpgsql stable set search_path = '' as $$
begin
  raise exception 'There is no such %.', p_what using errcode = 'PT404';
end
$$;

create function memoria.may(p_event_id text, p_right text) returns boolean
language plpgsql stable set search_path = '' as $$
begin
  return memoria.caller_is_trusted() or coalesce(
    case p_right
      when 'create' then memoria.can_create_event(p_event_id)
      when 'view' then memoria.can_view_event(p_event_id)
      when 'contribute' then memoria.can_contribute_to_event(p_event_id)
      when 'manage' then memoria.can_manage_event(p_event_id)
      when 'search' then memoria.can_search_event(p_event_id)
    end,
    false
  );
end
$$;

-- Raises 404 for who may not, whether or not the event is there. Who may by the app's own rule passes
-- for an event that is not known yet; the service role is told that it is not there.
create function memoria.authorize(p_event_id text, p_right text, p_what text default 'event') returns void
language plpgsql stable set search_path = '' as $$
begin
  if not memoria.may(p_event_id, p_right)
    or (memoria.caller_is_trusted() and not exists (select from memoria.events where id = p_event_id)) then
    perform memoria.refuse_unknown(p_what);
  end if;
end
$$;

-- Whoever changes an event's photos, faces, people or jobs locks its row first: event, job, dispatcher
-- is the order of locks everywhere; of several events, in the order of their ids.
create function memoria.lock_event(p_event_id text) returns memoria.events
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events;
begin
  select * into v_event from memoria.events where id = p_event_id for no key update;
  return v_event;
end
$$;

-- Locks an event for a change that the caller may make. Raises 404.
create function memoria.lock_event_for(p_event_id text, p_right text, p_what text default 'event')
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
  return v_event;
end
$$;

-- The same, of an event that is not archived. Raises 404, or 409 when it is.
create function memoria.lock_open_event(p_event_id text, p_right text, p_what text default 'event')
returns memoria.events
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events := memoria.lock_event_for(p_event_id, p_right, p_what);
begin
  if v_event.status = 'archived' then
    raise exception 'This event is archived: reopen it first.' using errcode = 'PT409';
  end if;
  return v_event;
end
$$;

-- What pages show has changed; the event is locked. Who is who, or only which photos there are.
create function memoria.touch_people(p_event_id text) returns void
language sql set search_path = '' as $$
  update memoria.events set people_version = people_version + 1 where id = p_event_id
$$;

create function memoria.touch_photos(p_event_id text) returns void
language sql set search_path = '' as $$
  update memoria.events set photos_version = photos_version + 1 where id = p_event_id
$$;

-- 05_agreement.sql

-- Which functions this database can work with (memoria/agreement.py): made_for, and the oldest agreement of
-- functions that are still served. A migration that old functions can live with leaves works_with as it is.
create function memoria.agreement() returns jsonb
language sql immutable set search_path = '' as $$
  select '{"made_for": 1, "works_with": 1}'::jsonb
$$;

-- 06_search_tables.sql

-- Search by selfie: who may ask, what was asked, and what came of it. No picture and no vector of a
-- guest is stored anywhere.

create table memoria.search_links (
  id uuid primary key default gen_random_uuid(),
  event_id text not null references memoria.events on delete cascade,
  -- SHA-256 of the token, which is told once and kept nowhere
  token_hash bytea not null unique,
  -- the one guest it was opened for; null for a link that many share
  user_id uuid,
  label text,
  created_by uuid,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  max_searches integer not null,
  per_guest integer not null,
  people_per_guest integer not null,
  maybe boolean not null default false,
  searches integer not null default 0,
  constraint search_links_label_length check (char_length(label) between 1 and 200)
);
create index search_links_event on memoria.search_links (event_id, created_at desc);
create index search_links_page on memoria.search_links (event_id, created_at, id) where user_id is null;
create index search_links_expiry on memoria.search_links (expires_at);

-- The audit that a host reads. guest is a hash; people are ids, as grouping has them.
create table memoria.searches (
  id uuid primary key default gen_random_uuid(),
  event_id text not null references memoria.events on delete cascade,
  link_id uuid references memoria.search_links on delete set null,
  guest bytea,
  created_at timestamptz not null default clock_timestamp(),
  consent text not null,
  -- begun, found, nobody, or the code of the refusal
  outcome text not null default 'begun',
  model text,
  people uuid[] not null default '{}',
  -- faces that belong to no person
  loose_faces uuid[] not null default '{}',
  -- how alike a face had to be to its person's others
  belongs double precision,
  -- how often it was answered again in the minute from then on
  again_from timestamptz,
  agains integer not null default 0,
  removal_requested_at timestamptz
);
create index searches_event on memoria.searches (event_id, created_at desc);
create index searches_removal on memoria.searches (event_id, removal_requested_at desc)
  where removal_requested_at is not null;
create index searches_guest on memoria.searches (event_id, guest, created_at desc);
create index searches_link on memoria.searches (link_id);
create index searches_age on memoria.searches (created_at);
create index searches_again on memoria.searches (event_id, again_from) where again_from is not null;

-- Which text a guest accepted, and when. It lives as long as the event.
create table memoria.search_consents (
  event_id text not null references memoria.events on delete cascade,
  guest bytea not null,
  version text not null,
  given_at timestamptz not null default clock_timestamp(),
  primary key (event_id, guest, version)
);

-- As whom a guest was found, in hashes: one slot is one human being, whatever groups they are in. It
-- lives as long as the event, longer than the audit, so that a limit stays a limit.
create table memoria.search_subjects (
  event_id text not null references memoria.events on delete cascade,
  guest bytea not null,
  subject bytea not null,
  slot integer not null,
  primary key (event_id, guest, subject)
);

alter table memoria.search_links enable row level security;
alter table memoria.searches enable row level security;
alter table memoria.search_consents enable row level security;
alter table memoria.search_subjects enable row level security;

-- 07_realtime.sql

-- What who follows an event is told through Supabase Realtime, on the private topic memoria:<event_id>:
-- counts, and which photo failed; never who is in it. Broadcasts may get lost, the tables are the truth.

-- Sends where Realtime is there. Never fails the work that it tells of, and never waits for a lock: the
-- event is locked meanwhile.
create function memoria.broadcast(p_event_id text, p_event text, p_payload jsonb) returns void
language plpgsql set search_path = '' set lock_timeout = '50ms' as $$
begin
  if to_regprocedure('realtime.send(jsonb, text, text, boolean)') is not null then
    execute 'select realtime.send($1, $2, $3, true)' using p_payload, p_event, 'memoria:' || p_event_id;
  end if;
exception when others then
  raise warning 'memoria: % is not told: %', p_event, sqlerrm;
end
$$;

-- Under the event's key, also while it has few neighbours: else PostgreSQL 16 counts among their photos.
create function memoria.photo_counts(p_event_id text) returns jsonb
language sql stable set search_path = '' set enable_seqscan = off set jit = off as $$
  select jsonb_build_object(
    'total', count(*),
    'pending', count(*) filter (where status = 'pending'),
    'completed', count(*) filter (where status = 'completed'),
    'failed', count(*) filter (where status = 'failed'),
    -- of the pending: those that something outside keeps from being looked at
    'waiting', (
      select count(*) from memoria.jobs
      where event_id = p_event_id and kind = 'process' and waiting_since is not null and finished_at is null
    )
  )
  from memoria.media where event_id = p_event_id
$$;

-- Counts an event's photos anew and tells who follows it: at most once a second, less often in a large
-- event, so that counting takes a small share of the time however many photos there are; but always when
-- nothing is pending any more. The event is locked. Callbacks carry what was counted last.
create function memoria.tell_progress(p_event_id text) returns void
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events;
  v_counts jsonb;
begin
  select * into v_event from memoria.events where id = p_event_id;
  if v_event.counted_at > clock_timestamp() - greatest(
      interval '1 second', (v_event.counts ->> 'total')::integer * interval '100 microseconds'
    ) and exists (select from memoria.media where event_id = p_event_id and status = 'pending') then
    return;
  end if;
  v_counts := memoria.photo_counts(p_event_id);
  if v_counts is distinct from v_event.counts then
    update memoria.events set counts = v_counts, counted_at = clock_timestamp() where id = p_event_id;
    perform memoria.broadcast(p_event_id, 'progress', jsonb_build_object('photos', v_counts));
  end if;
end
$$;

-- For Realtime's policy: who may see an event may follow it.
create function public.memoria_may_follow(p_topic text) returns boolean
language sql stable security definer set search_path = '' as $$
  select starts_with(p_topic, 'memoria:') and coalesce(memoria.can_view_event(substr(p_topic, 9)), false)
$$;

create function memoria.following_is_allowed() returns boolean
language sql stable set search_path = '' as $$
  select exists (
    select from pg_policies
    where schemaname = 'realtime' and tablename = 'messages' and qual like '%memoria_may_follow(%'
  )
$$;

-- Lets users follow events. Again it changes nothing; where Realtime is missing, or keeps its table to
-- itself, nothing happens: doctor tells.
create function memoria.allow_following() returns void
language plpgsql set search_path = '' as $$
begin
  if to_regclass('realtime.messages') is null or to_regprocedure('realtime.topic()') is null
    or memoria.following_is_allowed() then
    return;
  end if;
  execute $policy$
    create policy "memoria: who may see an event may follow it" on realtime.messages
    for select to authenticated
    using (extension = 'broadcast' and (select public.memoria_may_follow((select realtime.topic()))))
  $policy$;
exception when others then
  raise warning 'memoria: nobody may follow events: %', sqlerrm;
end
$$;

-- 07_suggestion_tables.sql

-- Questions to users that a run has made: at most 500 an event, made anew by every run. Ids stay the same
-- while the question does.

create table memoria.suggestions (
  id uuid primary key,
  event_id text not null references memoria.events on delete cascade,
  -- same_person: are one_id and other_id one person? who_is_this: whose of the people is the face?
  kind text not null,
  one_id uuid references memoria.persons on delete cascade,
  other_id uuid references memoria.persons on delete cascade,
  face_id uuid references memoria.faces on delete cascade,
  -- whom it names
  people uuid[] not null,
  likelihood real not null,
  -- what it is listed by: the likelihood times the faces of the smaller side
  weight real not null,
  photos_together integer not null default 0,
  -- pairs of faces to show; and the likelihood of each candidate
  evidence jsonb not null default '[]',
  candidates jsonb not null default '[]',
  -- whether it is to be asked now: false once it was answered, and where users said otherwise since
  open boolean not null default true,
  answer text,
  -- the change that the answer made; and how many faces the people had when a user was not sure
  answered_by bigint,
  asleep_at integer[],
  created_at timestamptz not null default now(),
  constraint suggestions_kind_known check (kind in ('same_person', 'who_is_this')),
  constraint suggestions_name_their_kind check (
    (kind = 'same_person') = (one_id is not null) and (kind = 'same_person') = (other_id is not null)
    and (kind = 'who_is_this') = (face_id is not null)
  ),
  constraint suggestions_in_order check (one_id < other_id),
  constraint suggestions_answer_known check (answer in ('same', 'different', 'not_sure', 'nobody'))
);
create index suggestions_page on memoria.suggestions (event_id, kind, (-weight), id) where open;
create index suggestions_event on memoria.suggestions (event_id);
create index suggestions_one on memoria.suggestions (one_id);
create index suggestions_other on memoria.suggestions (other_id);
create index suggestions_face on memoria.suggestions (face_id);

alter table memoria.suggestions enable row level security;

-- 10_dispatch.sql

-- Pacing: queued jobs become nudges, never more than max_in_flight per kind of work.
--
-- Every change of a job tells the dispatcher by itself: triggers on memoria.jobs note in which event
-- something is queued, and ask for one dispatch at the commit. There every other lock is taken already,
-- so that the dispatcher's row is always the last in order, and whoever holds it waits for nobody.
--
-- A lane is one event's queue of one kind of work. Turns go round by owner, then by event, then by age.
-- Lanes and owners are read and written under the dispatcher's lock alone, each step by one index
-- look-up: what a turn costs grows neither with the queue nor with the number of events that wait.

create table memoria.dispatcher (
  only_one boolean primary key default true,
  constraint dispatcher_is_one_row check (only_one)
);
insert into memoria.dispatcher default values;
alter table memoria.dispatcher enable row level security;

create sequence memoria.turn_numbers;

-- waiting: jobs that something outside keeps from being done have a lane of their own.
create table memoria.lanes (
  kind text not null,
  waiting boolean not null,
  event_id text not null,
  owner text not null,
  -- when its next job is due; infinity where none is queued
  due_at timestamptz not null,
  ready boolean not null default false,
  -- the number of its last turn
  served bigint not null default 0,
  primary key (kind, waiting, event_id)
);
create index lanes_due on memoria.lanes (kind, due_at) where not ready;
create index lanes_ready on memoria.lanes (kind, waiting, owner, served) where ready;
alter table memoria.lanes enable row level security;

create table memoria.owners (
  kind text not null,
  waiting boolean not null,
  owner text not null,
  ready boolean not null default false,
  served bigint not null default 0,
  primary key (kind, waiting, owner)
);
create index owners_ready on memoria.owners (kind, waiting, served) where ready;
alter table memoria.owners enable row level security;

-- Where something was queued: written by anyone, read and emptied by the dispatcher. What a crash
-- takes of it the sweeper finds again.
create unlogged table memoria.arrivals (
  kind text not null,
  waiting boolean not null,
  event_id text not null,
  due_at timestamptz not null
);
create index arrivals_kind on memoria.arrivals (kind);
alter table memoria.arrivals enable row level security;

-- Lives within one transaction: a row is written to be deleted at the commit.
create unlogged table memoria.wakeups (
  id bigint generated always as identity primary key,
  kind text not null
);
alter table memoria.wakeups enable row level security;

create function memoria.in_flight(p_kind text) returns bigint
language sql stable set search_path = '' as $$
  select count(*) from memoria.jobs where kind = p_kind and status in ('dispatched', 'running')
$$;

-- Takes up what arrived and what has become due. The dispatcher is locked.
create function memoria.line_up(p_kind text, p_now timestamptz) returns void
language plpgsql set search_path = '' as $$
begin
  with arrived as (
    delete from memoria.arrivals where kind = p_kind returning waiting, event_id, due_at
  ), lanes as (
    select waiting, event_id, min(due_at) as due_at from arrived group by waiting, event_id
  )
  insert into memoria.lanes (kind, waiting, event_id, owner, due_at)
  select p_kind, lanes.waiting, events.id, coalesce(events.owner_id::text, events.id), lanes.due_at
  from lanes join memoria.events on events.id = lanes.event_id
  on conflict (kind, waiting, event_id) do update set
    owner = case when memoria.lanes.ready then memoria.lanes.owner else excluded.owner end,
    due_at = least(memoria.lanes.due_at, excluded.due_at);
  with due as (
    update memoria.lanes set ready = true
    where kind = p_kind and not ready and due_at <= p_now
    returning waiting, owner
  )
  insert into memoria.owners (kind, waiting, owner, ready)
  select distinct p_kind, waiting, owner, true from due
  on conflict (kind, waiting, owner) do update set ready = true where not memoria.owners.ready;
end
$$;

-- How many places each owner holds: the jobs in flight are few, however many wait.
create function memoria.places_held(p_kind text) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_object_agg(owner, places), '{}') from (
    select coalesce(events.owner_id::text, events.id) as owner, count(*) as places
    from memoria.jobs join memoria.events on events.id = jobs.event_id
    where jobs.kind = p_kind and jobs.status in ('dispatched', 'running')
    group by 1
  ) as held
$$;

-- The lane whose turn it is: the owner served longest ago, of theirs the event served longest ago. Those
-- who hold half the places, and jobs that wait for something outside, stand back while others wait.
create function memoria.next_lane(p_kind text, p_most numeric, p_held jsonb, p_waiting_held bigint)
returns memoria.lanes
language plpgsql set search_path = '' as $$
declare
  v_half numeric := greatest(1, trunc(p_most / 2));
  v_full text[] := array(select key from jsonb_each(p_held) where value::numeric >= v_half);
  v_owner memoria.owners;
  v_lane memoria.lanes;
begin
  loop
    -- first whoever is below their half, in turn; then whoever waits at all
    select * into v_owner from (
      (
        select * from memoria.owners
        where kind = p_kind and not waiting and ready and owner <> all (v_full) order by served limit 1
      )
      union all
      (
        select * from memoria.owners
        where kind = p_kind and waiting and ready and owner <> all (v_full) and p_waiting_held < v_half
        order by served limit 1
      )
    ) as below order by served limit 1;
    if not found then
      select * into v_owner from memoria.owners
      where kind = p_kind and not waiting and ready order by served limit 1;
    end if;
    if not found then
      select * into v_owner from memoria.owners
      where kind = p_kind and waiting and ready order by served limit 1;
    end if;
    exit when not found;
    select * into v_lane from memoria.lanes
    where kind = p_kind and waiting = v_owner.waiting and owner = v_owner.owner and ready
    order by served limit 1;
    exit when found;
    update memoria.owners set ready = false
    where kind = p_kind and waiting = v_owner.waiting and owner = v_owner.owner;
  end loop;
  return v_lane;
end
$$;

-- Until when a lane has to stand back although its job is due, or null: a run waits for the run before
-- it, and for photos under way as long as it may; an archived event is only told of.
create function memoria.lane_closed_until(p_lane memoria.lanes) returns timestamptz
language plpgsql stable set search_path = '' as $$
declare
  v_status text := (select status from memoria.events where id = p_lane.event_id);
  v_latest timestamptz;
begin
  if v_status is null or (v_status = 'archived' and p_lane.kind <> 'callback') then
    return 'infinity';
  elsif p_lane.kind <> 'cluster' then
    return null;
  elsif exists (
    select from memoria.jobs
    where event_id = p_lane.event_id and kind = 'cluster' and status in ('dispatched', 'running')
  ) then
    return 'infinity';
  elsif exists (select from memoria.media where event_id = p_lane.event_id and status = 'pending') then
    select no_later_than into v_latest from memoria.jobs
    where event_id = p_lane.event_id and kind = 'cluster' and status = 'queued';
    return case when v_latest > clock_timestamp() then v_latest end;
  end if;
  return null;
end
$$;

-- Hands out at most p_limit due jobs of a lane, and says when its next is due. The dispatcher is locked;
-- what somebody else has locked is left alone.
create function memoria.serve_lane(p_lane memoria.lanes, p_limit integer, p_now timestamptz) returns integer
language plpgsql set search_path = '' as $$
declare
  v_closed timestamptz := memoria.lane_closed_until(p_lane);
  v_chosen uuid[] := '{}';
  v_next timestamptz;
  v_turn bigint := nextval('memoria.turn_numbers');
begin
  if v_closed is null then
    v_chosen := array(
      select id from memoria.jobs
      where kind = p_lane.kind and event_id = p_lane.event_id
        and waiting = p_lane.waiting and status = 'queued' and run_after <= p_now
      order by run_after, id limit p_limit
      for no key update skip locked
    );
    update memoria.jobs
    set status = 'dispatched', leased_until = p_now + memoria.seconds('dispatch_lease_seconds')
    where id = any (v_chosen);
    insert into memoria.dispatches (service, kind, job_id, event_id, media_id)
    select
      -- a callback is delivered by the service that did the work
      case when media_id is null then 'cluster' else 'process' end,
      kind, id, event_id, media_id
    from memoria.jobs where id = any (v_chosen) order by array_position(v_chosen, id);
    select run_after into v_next from memoria.jobs
    where kind = p_lane.kind and event_id = p_lane.event_id
      and waiting = p_lane.waiting and status = 'queued'
    order by run_after limit 1;
    if cardinality(v_chosen) = 0 and v_next <= p_now then
      v_next := p_now + interval '1 second';  -- due, but locked
    end if;
  end if;
  update memoria.lanes set
    served = v_turn, due_at = coalesce(v_closed, v_next, 'infinity'),
    ready = coalesce(v_closed, v_next, 'infinity') <= p_now
  where kind = p_lane.kind and waiting = p_lane.waiting and event_id = p_lane.event_id;
  update memoria.owners set served = v_turn
  where kind = p_lane.kind and waiting = p_lane.waiting and owner = p_lane.owner;
  return cardinality(v_chosen);
end
$$;

-- Fills the free places of one kind. Returns how many nudges were written. A nudge holds its place
-- for the short dispatch lease; a claim takes it over.
create function memoria.dispatch(p_kind text) returns integer
language plpgsql security definer
set search_path = ''
-- plans made while the tables were empty must serve when they are full
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_now timestamptz;
  v_most numeric;
  v_free integer;
  v_held jsonb;
  v_waiting_held bigint;
  v_lane memoria.lanes;
  v_batch integer;
  v_served integer;
  v_sent integer := 0;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    return 0;  -- an old snapshot cannot count what is in flight: the sweeper can
  end if;
  perform from memoria.dispatcher where only_one for no key update;
  v_now := clock_timestamp();
  perform memoria.line_up(p_kind, v_now);
  v_most := memoria.setting_of('max_in_flight', p_kind);
  v_free := v_most - memoria.in_flight(p_kind);
  if v_free <= 0 or not exists (select from memoria.owners where kind = p_kind and ready) then
    return 0;
  end if;
  v_held := memoria.places_held(p_kind);
  v_waiting_held := (
    select count(*) from memoria.jobs
    where kind = p_kind and status in ('dispatched', 'running') and waiting_since is not null
  );
  while v_free > v_sent loop
    v_lane := memoria.next_lane(p_kind, v_most, v_held, v_waiting_held);
    exit when v_lane.kind is null;
    -- one event alone needs no turns
    v_batch := case
      when (
        select count(*) from (
          select from memoria.lanes where kind = p_kind and waiting = v_lane.waiting and ready limit 2
        ) as two
      ) = 1 and not exists (
        select from memoria.owners where kind = p_kind and waiting <> v_lane.waiting and ready
      ) then v_free - v_sent
      else 1
    end;
    v_served := memoria.serve_lane(v_lane, v_batch, v_now);
    v_sent := v_sent + v_served;
    v_held := v_held || jsonb_build_object(
      v_lane.owner, coalesce((v_held ->> v_lane.owner)::bigint, 0) + v_served
    );
    if v_lane.waiting then
      v_waiting_held := v_waiting_held + v_served;
    end if;
  end loop;
  return v_sent;
end
$$;

-- Asks for one dispatch of this kind at the commit, however often it is called before.
create function memoria.wake(p_kind text) returns void
language plpgsql set search_path = '' as $$
begin
  if current_setting('memoria.wake_' || p_kind, true) is distinct from 'asked' then
    insert into memoria.wakeups (kind) values (p_kind);
    perform set_config('memoria.wake_' || p_kind, 'asked', true);
  end if;
end
$$;

create function memoria.dispatch_at_commit() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  delete from memoria.wakeups where id = new.id;
  perform set_config('memoria.wake_' || new.kind, '', true);
  begin
    perform memoria.dispatch(new.kind);
  exception when others then
    -- the caller's own work stands; the sweeper dispatches later
    raise warning 'memoria: nothing dispatched: %', sqlerrm;
  end;
  return null;
end
$$;

create constraint trigger dispatch_at_commit
  after insert on memoria.wakeups
  deferrable initially deferred
  for each row execute function memoria.dispatch_at_commit();

create function memoria.note_new_jobs() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into memoria.arrivals (kind, waiting, event_id, due_at)
  select kind, waiting, event_id, min(run_after)
  from added where status = 'queued' group by 1, 2, 3;
  perform memoria.wake(kind) from (select distinct kind from added where status = 'queued') as queued;
  return null;
end
$$;

create trigger note_new_jobs
  after insert on memoria.jobs referencing new table as added
  for each statement execute function memoria.note_new_jobs();

create function memoria.note_changed_jobs() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into memoria.arrivals (kind, waiting, event_id, due_at)
  select kind, waiting, event_id, min(run_after)
  from changed where status = 'queued' group by 1, 2, 3
  union all
  -- the run that waits behind one that has ended
  select distinct 'cluster', false, changed.event_id, clock_timestamp()
  from changed join former using (id)
  where changed.kind = 'cluster' and former.status in ('dispatched', 'running')
    and changed.status in ('completed', 'failed', 'cancelled');
  perform memoria.wake(kind) from (
    select distinct changed.kind from changed join former using (id)
    where changed.status = 'queued' or (
      former.status in ('dispatched', 'running') and changed.status not in ('dispatched', 'running')
    )
  ) as stirred;
  return null;
end
$$;

create trigger note_changed_jobs
  after update on memoria.jobs referencing old table as former new table as changed
  for each statement execute function memoria.note_changed_jobs();

create function memoria.note_deleted_jobs() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform memoria.wake(kind) from (
    select distinct kind from former where status in ('dispatched', 'running')
  ) as freed;
  return null;
end
$$;

create trigger note_deleted_jobs
  after delete on memoria.jobs referencing old table as former
  for each statement execute function memoria.note_deleted_jobs();

-- One POST per dispatch through pg_net, with the payload of a Supabase database webhook. The bearer
-- secret would lie in pg_net's queue for every role to read, so the body is signed instead.
create function memoria.post_nudge(p_nudge memoria.dispatches) returns bigint
language plpgsql set search_path = '' as $$
declare
  v_url text := memoria.secret(p_nudge.service || '_url');
  v_request bigint;
  v_body jsonb := jsonb_build_object(
    'type', 'INSERT', 'table', 'dispatches', 'schema', 'memoria',
    'record', to_jsonb(p_nudge) - 'request_id', 'old_record', null
  );
begin
  -- without pg_net or a URL, a webhook made in the dashboard may hang on the table instead
  if v_url is not null and to_regprocedure('net.http_post(text, jsonb, jsonb, jsonb, integer)') is not null then
    execute 'select net.http_post(
        url := $1, body := $2, params := ''{}'', headers := $3, timeout_milliseconds := $4)'
      into v_request
      using v_url, v_body,
        jsonb_build_object('Content-Type', 'application/json') || coalesce(memoria.signed_headers(
          'nudge_' || p_nudge.id, clock_timestamp(), v_body::text, memoria.secret('webhook_secret')
        ), '{}'),
        memoria.number('nudge_timeout_ms')::integer;
  end if;
  return v_request;
end
$$;

create function memoria.send_nudge() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  new.request_id := memoria.post_nudge(new);
  return new;
exception when others then
  -- never a reason for a user's insert to fail: the lease runs out, and the sweeper sends another
  raise warning 'memoria: nudge not sent: %', sqlerrm;
  return new;
end
$$;

create trigger send_nudge
  before insert on memoria.dispatches
  for each row execute function memoria.send_nudge();

-- A bulk insert of photos costs one statement more, however many rows and events it has. What is
-- handed over to an archived event ends at once, with that reason. Each photo's event is looked up by
-- its key: statistics from when there were few events make no join of all photos with all events.
create function memoria.queue_inserted_media() returns trigger
language plpgsql security definer set search_path = '' set enable_seqscan = off as $$
declare
  v_queued bigint;
begin
  insert into memoria.jobs (kind, event_id, media_id, max_attempts)
  select 'process', event_id, id, (select memoria.setting_of('max_attempts', 'process'))
  from inserted
  where status = 'pending'
    and (select events.status from memoria.events where events.id = inserted.event_id) = 'open';
  get diagnostics v_queued = row_count;
  if v_queued < (select count(*) from inserted where status = 'pending') then
    update memoria.media set
      status = 'failed', completed_at = clock_timestamp(),
      error_code = 'event_archived', error_message = 'The event is archived.'
    where id = any (array(
      select id from inserted
      where status = 'pending'
        and (select events.status from memoria.events where events.id = inserted.event_id) = 'archived'
    ));
  end if;
  return null;
end
$$;

create trigger queue_inserted_media
  after insert on memoria.media
  referencing new table as inserted
  for each statement execute function memoria.queue_inserted_media();

-- 11_callbacks.sql

-- The outbox: a finished job owes the app one POST, which is a job too.

create function memoria.face_box(f memoria.faces) returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object('x', f.x, 'y', f.y, 'w', f.w, 'h', f.h)
$$;

create function memoria.named_landmarks(p_points real[]) returns jsonb
language sql immutable set search_path = '' as $$
  select case when p_points is not null then
    jsonb_object_agg(name, jsonb_build_object('x', p_points[2 * n - 1], 'y', p_points[2 * n]))
  end
  from unnest(array['left_eye', 'right_eye', 'nose', 'mouth_left', 'mouth_right'])
    with ordinality as point(name, n)
$$;

-- How the event's photos stood when they were last counted, a second ago at most or when none was pending
-- any more; in an event of more than 10,000 photos a little longer.
create function memoria.last_counts(p_event_id text) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(counts, memoria.photo_counts(id)) from memoria.events where id = p_event_id
$$;

-- What a failed job's callback tells.
create function memoria.failure_payload(p_job memoria.jobs, p_code text, p_message text) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'job_id', p_job.id, 'event_id', p_job.event_id, 'status', 'failed',
    'photos', memoria.last_counts(p_job.event_id),
    'error', jsonb_build_object('code', p_code, 'message', p_message)
  ) || case p_job.kind
    when 'process' then jsonb_build_object(
      'media_id', p_job.media_id, 'faces_detected', 0, 'faces', '[]'::jsonb
    )
    else '{"total_faces": 0, "clusters_created": 0, "noise_faces": 0, "clusters": []}'::jsonb
  end
$$;

-- Writes the callback that tells p_payload. It starts out dispatched to the worker that finished the
-- job, who tries once after its commit; when the lease runs out it is nudged like any other job.
-- Without a worker at hand (p_at_once) it is queued. Returns null where callbacks are off.
create function memoria.owe_callback(p_job_id uuid, p_payload jsonb, p_at_once boolean default false)
returns uuid
language plpgsql set search_path = '' as $$
declare
  v_callback uuid;
begin
  if memoria.setting('callbacks') = 'false' then
    return null;
  end if;
  insert into memoria.jobs
    (kind, event_id, media_id, source_job_id, status, leased_until, max_attempts, payload)
  select
    'callback', event_id, media_id, id,
    case when p_at_once then 'queued' else 'dispatched' end,
    case when not p_at_once then clock_timestamp() + memoria.seconds('dispatch_lease_seconds') end,
    memoria.setting_of('max_attempts', 'callback'), p_payload
  from memoria.jobs where id = p_job_id
  returning id into v_callback;
  return v_callback;
end
$$;

-- 12_clustering.sql

-- When an event is clustered: a quiet period after its last photo is done; and while photos keep coming,
-- no later than a wait after the first one that is not grouped.

-- How long a photo may wait for its group while others are under way: doubling with every run that had
-- to leave photos out, and at least ten times what the last run took.
create function memoria.cluster_wait(p_event memoria.events) returns interval
language sql stable set search_path = '' as $$
  select greatest(
    least(
      memoria.seconds('cluster_wait_seconds') * power(2, least(p_event.incomplete_runs, 20)),
      memoria.seconds('cluster_wait_most_seconds')
    ),
    memoria.seconds('quiet_period_seconds'),
    make_interval(secs => 10 * p_event.last_run_seconds)
  )
$$;

-- Queues the event's next cluster job, or moves the one that waits already; one that a user asked for
-- is never postponed, and one whose nudge is on its way has not loaded anything yet. The event is locked.
create function memoria.queue_cluster(p_event_id text, p_run_after timestamptz, p_no_later_than timestamptz)
returns void
language sql set search_path = '' as $$
  insert into memoria.jobs (kind, event_id, max_attempts, run_after, no_later_than)
  values (
    'cluster', p_event_id, memoria.setting_of('max_attempts', 'cluster'), p_run_after, p_no_later_than
  )
  on conflict (event_id) where kind = 'cluster' and status in ('queued', 'dispatched') do update set
    -- after a failure the backoff holds
    run_after = case
      when jobs.attempts + jobs.deaths + jobs.waits > 0 then greatest(jobs.run_after, excluded.run_after)
      else excluded.run_after
    end,
    no_later_than = excluded.no_later_than
  where jobs.status = 'queued' and jobs.no_later_than <> '-infinity'
$$;

-- Called when a photo of the event came to its end, with the event's row locked before counting: of two
-- last photos at the same instant, the second sees the first. p_news: there is something to group.
create function memoria.settle_event(p_event_id text, p_news boolean default true) returns void
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events;
  v_now timestamptz := clock_timestamp();
  v_latest timestamptz;
begin
  update memoria.events set ungrouped_since = v_now
  where id = p_event_id and p_news and ungrouped_since is null;
  select * into v_event from memoria.events where id = p_event_id;
  v_latest := coalesce(v_event.ungrouped_since, v_now) + memoria.cluster_wait(v_event);
  if not exists (select from memoria.media where event_id = p_event_id and status = 'pending') then
    perform memoria.queue_cluster(
      p_event_id, least(v_now + memoria.seconds('quiet_period_seconds'), v_latest), v_latest
    );
  elsif v_event.ungrouped_since is not null then
    perform memoria.queue_cluster(p_event_id, v_latest, v_latest);
  end if;
  perform memoria.tell_progress(p_event_id);
end
$$;

-- Asks for a run now, photos under way or not. Returns its job.
create function memoria.cluster_now(p_event_id text) returns uuid
language plpgsql set search_path = '' as $$
declare
  v_job uuid;
begin
  insert into memoria.jobs (kind, event_id, max_attempts, no_later_than)
  values ('cluster', p_event_id, memoria.setting_of('max_attempts', 'cluster'), '-infinity')
  on conflict (event_id) where kind = 'cluster' and status in ('queued', 'dispatched')
  do update set run_after = least(jobs.run_after, clock_timestamp()), no_later_than = '-infinity'
  returning id into v_job;
  return v_job;
end
$$;

-- 13_jobs.sql

-- The life of a job: queued → dispatched → running → completed | failed | cancelled.

create function memoria.skipped(p_reason text) returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object('outcome', 'skipped', 'reason', p_reason)
$$;

-- Why a job cannot be claimed now, or null. The job's row is locked, a cluster job's event too.
create function memoria.refusal(p_job memoria.jobs) returns text
language plpgsql set search_path = '' as $$
declare
  v_archived boolean := p_job.kind <> 'callback' and (
    select status = 'archived' from memoria.events where id = p_job.event_id
  );
begin
  if p_job.status = 'completed' then
    return 'done';
  elsif p_job.status = 'failed' then
    return 'dead';
  elsif v_archived then
    return 'archived';
  elsif p_job.status = 'cancelled' then
    return 'gone';
  elsif p_job.status = 'running' and p_job.leased_until > clock_timestamp() then
    return 'running';
  elsif p_job.status = 'running' and p_job.deaths + 1 >= memoria.number('max_deaths') then
    return 'dead';  -- its last worker vanished: the sweeper will say so
  elsif p_job.status = 'queued' and p_job.run_after > clock_timestamp() then
    return 'later';
  elsif p_job.kind = 'cluster' and exists (
    select from memoria.jobs
    where kind = 'cluster' and event_id = p_job.event_id and status = 'running' and id <> p_job.id
  ) then
    return 'running';
  elsif p_job.kind = 'cluster' and p_job.no_later_than > clock_timestamp() and exists (
    select from memoria.media where event_id = p_job.event_id and status = 'pending'
  ) then
    return 'later';
  elsif p_job.status = 'queued' then
    -- a nudge that comes after its place went to another takes a free place or none
    perform from memoria.dispatcher where only_one for no key update;
    if memoria.in_flight(p_job.kind) >= memoria.setting_of('max_in_flight', p_job.kind) then
      return 'later';
    end if;
  end if;
  return null;
end
$$;

-- Marks a job as running. What it is sent to look at is kept, to be compared with what is wanted then.
create function memoria.start_job(p_job memoria.jobs) returns memoria.jobs
language plpgsql set search_path = '' as $$
declare
  v_job memoria.jobs;
begin
  update memoria.jobs set
    status = 'running', tries = tries + 1, token = gen_random_uuid(),
    -- whoever held it fell silent
    deaths = deaths + (status = 'running')::integer,
    started_at = clock_timestamp(),
    leased_until = clock_timestamp() + memoria.seconds_of('run_lease_seconds', kind),
    payload = case when kind = 'process' then (
      select jsonb_build_object('bucket', bucket, 'path', path) from memoria.media where id = p_job.media_id
    ) else payload end
  where id = p_job.id returning * into v_job;
  if v_job.kind = 'cluster' then
    -- what ends from now on is for the next run
    update memoria.events set ungrouped_since = null where id = v_job.event_id;
  end if;
  return v_job;
end
$$;

-- The boxes that users drew in a photo, for the worker to read.
create function memoria.drawn_in(p_media_id text) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'face_id', face_id, 'bbox', jsonb_build_object('x', x, 'y', y, 'w', w, 'h', h)
  ) order by id), '[]')
  from memoria.corrections where media_id = p_media_id and kind = 'drawn' and withdrawn_by is null
$$;

create function public.memoria_claim(
  p_kind text, p_job_id text, p_event_id text, p_media_id text default null
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_job memoria.jobs;
  v_refusal text;
begin
  if exists (select from memoria.media where id = p_media_id and event_id <> p_event_id) then
    return jsonb_build_object('outcome', 'conflict', 'message', 'The media item belongs to another event.');
  end if;
  select * into v_job from memoria.jobs where id = memoria.as_uuid(p_job_id);
  if not found then
    return '{"outcome": "unknown"}';
  elsif v_job.kind <> p_kind or v_job.event_id <> p_event_id
    or (p_media_id is not null and v_job.media_id is distinct from p_media_id) then
    return jsonb_build_object('outcome', 'conflict', 'message', 'The job belongs to other work.');
  end if;
  if p_kind = 'cluster' then
    perform memoria.lock_event(p_event_id);
  end if;
  select * into v_job from memoria.jobs where id = v_job.id for no key update;
  if not found then
    return memoria.skipped('gone');
  end if;
  v_refusal := memoria.refusal(v_job);
  if v_refusal = 'later' and v_job.status = 'dispatched' then
    -- a photo came after the nudge was sent: its place is free for others meanwhile
    update memoria.jobs set status = 'queued', leased_until = null, run_after = no_later_than
    where id = v_job.id;
  end if;
  if v_refusal is not null then
    return memoria.skipped(v_refusal);
  end if;
  v_job := memoria.start_job(v_job);
  return jsonb_build_object(
    'outcome', 'claimed', 'job_id', v_job.id, 'token', v_job.token,
    'attempt', v_job.tries, 'max_attempts', v_job.max_attempts,
    'lease_seconds', memoria.setting_of('run_lease_seconds', p_kind),
    'event_id', v_job.event_id, 'media_id', v_job.media_id,
    'payload', case when p_kind = 'callback' then v_job.payload end
  ) || coalesce(
    (
      select jsonb_build_object('bucket', bucket, 'path', path, 'drawn', memoria.drawn_in(id))
      from memoria.media where id = v_job.media_id
    ),
    '{"bucket": null, "path": null, "drawn": []}'
  );
end
$$;

create function public.memoria_heartbeat(p_job_id uuid, p_token uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
  update memoria.jobs
  set leased_until = clock_timestamp() + memoria.seconds_of('run_lease_seconds', kind)
  where id = p_job_id and token = p_token and leased_until > clock_timestamp();
  return jsonb_build_object('held', found);
end
$$;

-- Locks the event, then the job, of a worker that wants to write its result. The row is null when
-- the lease is lost; memoria.why_lost says why.
create function memoria.lock_run(p_job_id uuid, p_token uuid) returns memoria.jobs
language plpgsql set search_path = '' as $$
declare
  v_job memoria.jobs;
begin
  perform memoria.lock_event((select event_id from memoria.jobs where id = p_job_id));
  select * into v_job from memoria.jobs
  where id = p_job_id and token = p_token and leased_until > clock_timestamp()
  for no key update;
  return v_job;
end
$$;

create function memoria.why_lost(p_job_id uuid) returns jsonb
language sql stable set search_path = '' as $$
  select memoria.skipped(coalesce(
    (
      select case
        when events.status = 'archived' and jobs.kind <> 'callback' then 'archived'
        when jobs.status = 'completed' then 'done'
        else 'lease_lost'
      end
      from memoria.jobs join memoria.events on events.id = jobs.event_id where jobs.id = p_job_id
    ),
    'gone'
  ))
$$;

-- Marks the job completed and owes its callback. Returns the callback's job id, or null.
create function memoria.finish_job(p_job memoria.jobs, p_payload jsonb) returns uuid
language plpgsql set search_path = '' as $$
begin
  update memoria.jobs set
    status = 'completed', finished_at = clock_timestamp(), token = null, leased_until = null,
    waiting_since = null, error_code = null, error_message = null, payload = null
  where id = p_job.id;
  return memoria.owe_callback(p_job.id, p_payload);
end
$$;

-- Exponential, between half and one and a half times the nominal delay, so that what failed
-- together does not come back together.
create function memoria.backoff(p_times integer, p_most text default 'backoff_most_seconds') returns interval
language sql volatile set search_path = '' as $$
  select least(
    memoria.seconds('backoff_first_seconds') * power(2, least(p_times, 30) - 1), memoria.seconds(p_most)
  ) * (0.5 + random())
$$;

-- The dead end: the job with its reason, the photo with it, and a callback that tells so.
create function memoria.bury_job(p_job memoria.jobs, p_code text, p_message text, p_at_once boolean)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_callback uuid;
  v_removed boolean := false;
begin
  update memoria.jobs set
    status = 'failed', finished_at = clock_timestamp(), token = null, leased_until = null,
    attempts = p_job.attempts, deaths = p_job.deaths, waits = p_job.waits,
    waiting_since = p_job.waiting_since, error_code = p_code, error_message = p_message
  where id = p_job.id;
  if p_job.kind = 'process' then
    -- one that was done stays done where only a drawn face was to be read
    update memoria.media set
      status = 'failed', completed_at = clock_timestamp(), error_code = p_code, error_message = p_message
    where id = p_job.media_id and status = 'pending';
    if not found then
      return jsonb_build_object('outcome', 'failed', 'callback_job_id', null);
    end if;
    -- an outage, or workers that died, say nothing of the picture that lies there now
    if p_code in ('media_gone', 'media_too_large', 'unreadable_media', 'unsupported_media_type') then
      v_removed := memoria.remove_replaced_faces(p_job.event_id, p_job.media_id);
    end if;
    perform memoria.touch_photos(p_job.event_id);
    perform memoria.settle_event(p_job.event_id, v_removed);
    perform memoria.broadcast(p_job.event_id, 'photo_failed', jsonb_build_object(
      'media_id', p_job.media_id, 'code', p_code, 'message', p_message
    ));
  end if;
  if p_job.kind <> 'callback' then
    v_callback := memoria.owe_callback(
      p_job.id, memoria.failure_payload(p_job, p_code, p_message), p_at_once
    );
  end if;
  return jsonb_build_object('outcome', 'failed', 'callback_job_id', v_callback);
end
$$;

-- Whether a photo was pointed elsewhere since its worker was sent: how that ended says nothing of what lies
-- there now.
create function memoria.is_moved(p_job memoria.jobs) returns boolean
language sql stable set search_path = '' as $$
  select p_job.kind = 'process' and exists (
    select from memoria.media where id = p_job.media_id
      and (bucket, path) <> (p_job.payload ->> 'bucket', p_job.payload ->> 'path')
  )
$$;

-- A photo's unfinished work begins anew, with all its attempts. Returns from when on.
create function memoria.begin_anew(p_job_id uuid) returns timestamptz
language sql set search_path = '' as $$
  update memoria.jobs set
    status = 'queued', run_after = clock_timestamp(), token = null, leased_until = null,
    attempts = 0, deaths = 0, waits = 0, waiting_since = null, error_code = null, error_message = null
  where id = p_job_id returning run_after
$$;

-- Whether a final answer may still change: an object that is uploaded after its row, a permission in
-- Google Cloud that takes minutes to arrive.
create function memoria.is_early(p_job memoria.jobs, p_code text) returns boolean
language sql stable set search_path = '' as $$
  select p_job.kind = 'process' and exists (
    select from memoria.media where id = p_job.media_id and case
      when p_code = 'media_gone' then placed_at
      when p_code = 'media_forbidden' and bucket like 'gs://%' then coalesce(p_job.waiting_since, clock_timestamp())
    end > clock_timestamp() - memoria.seconds('young_seconds')
  )
$$;

-- A failure of a job whose event and row are locked: another try, or the dead end.
--   terminal  trying again cannot mend it
--   attempt   the work itself failed: max_attempts of these
--   outside   storage, database, receiver or weights failed: ridden out for outside_patience_hours
--   death     the worker fell silent: max_deaths of these
create function memoria.fail_job(
  p_job memoria.jobs, p_code text, p_message text, p_policy text, p_at_once boolean default false
) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job memoria.jobs := p_job;
  v_early boolean := p_policy = 'terminal' and memoria.is_early(p_job, p_code);
  v_dead boolean;
  v_next timestamptz := clock_timestamp();
  v_successor timestamptz;
begin
  if memoria.is_moved(v_job) then
    return jsonb_build_object('outcome', 'retry', 'next_try_at', memoria.begin_anew(v_job.id));
  end if;
  if v_job.error_code = 'needs_memory' and p_code is distinct from 'needs_memory' then
    v_job.waiting_since := null;  -- the patience with an outage begins with the outage
    v_job.waits := 0;
  end if;
  if p_policy = 'outside' or v_early then
    v_job.waiting_since := coalesce(v_job.waiting_since, clock_timestamp());
    v_job.waits := v_job.waits + 1;
    -- an event that outgrew its instance waits for a larger one, however long that takes
    v_dead := p_code <> 'needs_memory' and clock_timestamp() - v_job.waiting_since
      >= make_interval(secs => memoria.number('outside_patience_hours')::double precision * 3600);
    v_next := v_next + memoria.backoff(v_job.waits, 'outside_backoff_most_seconds');
  elsif p_policy = 'death' then
    v_job.deaths := v_job.deaths + 1;
    v_dead := v_job.deaths >= memoria.number('max_deaths');
    v_next := v_next + memoria.backoff(v_job.deaths);
  else
    v_job.waiting_since := null;
    v_job.waits := 0;
    v_job.attempts := v_job.attempts + 1;
    v_dead := p_policy = 'terminal' or v_job.attempts >= v_job.max_attempts;
    v_next := v_next + memoria.backoff(v_job.attempts);
  end if;
  if v_job.kind = 'cluster' then
    update memoria.events set ungrouped_since = coalesce(ungrouped_since, v_job.started_at)
    where id = v_job.event_id;
  end if;
  if v_dead then
    return memoria.bury_job(v_job, p_code, p_message, p_at_once);
  end if;
  if v_job.kind = 'cluster' then
    -- photos came meanwhile, and a run over all of them waits already: that is the next try
    select run_after into v_successor from memoria.jobs
    where kind = 'cluster' and event_id = v_job.event_id and status in ('queued', 'dispatched');
  end if;
  update memoria.jobs set
    status = case when v_successor is null then 'queued' else 'cancelled' end,
    finished_at = case when v_successor is not null then clock_timestamp() end,
    attempts = v_job.attempts, deaths = v_job.deaths, waits = v_job.waits, waiting_since = v_job.waiting_since,
    run_after = v_next, token = null, leased_until = null,
    error_code = p_code, error_message = p_message
  where id = v_job.id;
  return jsonb_build_object('outcome', 'retry', 'next_try_at', coalesce(v_successor, v_next));
end
$$;

create function public.memoria_fail(
  p_job_id uuid, p_token uuid, p_code text, p_message text, p_policy text
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_job memoria.jobs := memoria.lock_run(p_job_id, p_token);
begin
  if p_policy is null or p_policy not in ('terminal', 'attempt', 'outside') then
    raise exception 'p_policy is terminal, attempt or outside.' using errcode = '22023';
  end if;
  if v_job.id is null then
    return memoria.why_lost(p_job_id);
  end if;
  return memoria.fail_job(v_job, left(p_code, 100), left(p_message, 1000), p_policy);
end
$$;

create function public.memoria_complete_callback(p_job_id uuid, p_token uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
  -- what was told is in the tables; the outbox keeps no second copy
  update memoria.jobs set
    status = 'completed', finished_at = clock_timestamp(), token = null, leased_until = null,
    waiting_since = null, error_code = null, error_message = null, payload = null
  where id = p_job_id and kind = 'callback' and token = p_token and leased_until > clock_timestamp();
  if not found then
    return memoria.why_lost(p_job_id);
  end if;
  return '{"outcome": "stored"}';
end
$$;

-- 20_figures.sql

-- What is kept beside people so that lists need not count: faces, cover, mean vector.

-- The person that people see: merges made by users are kept one level deep.
create function memoria.root_of(p_person_id uuid) returns uuid
language sql stable set search_path = '' as $$
  select coalesce(merged_into, id) from memoria.persons where id = p_person_id
$$;

create function memoria.people_of_event(p_event_id text) returns uuid[]
language sql stable set search_path = '' as $$
  select array(select id from memoria.persons where event_id = p_event_id)
$$;

-- How many people lists show: named ones also while they have no faces; and how many more with the hidden.
create function memoria.people_counts(p_event_id text, out shown bigint, out hidden bigint)
language sql stable set search_path = '' as $$
  select count(*) filter (where not persons.hidden), count(*) filter (where persons.hidden)
  from memoria.persons
  where event_id = p_event_id and merged_into is null and (face_count > 0 or name is not null)
$$;

-- The face that a user chose for a person to be shown by, while it is theirs. Of a merged person's covers
-- one holds.
create function memoria.chosen_cover(p_person_id uuid) returns uuid
language sql stable set search_path = '' as $$
  select faces.id
  from memoria.persons as person
  join memoria.corrections as said on said.person_id = person.id
  join memoria.faces on faces.id = said.face_id and faces.person_id = p_person_id
  where (person.id = p_person_id or person.merged_into = p_person_id)
    and said.kind = 'cover' and said.withdrawn_by is null
  order by said.id desc limit 1
$$;

-- The figures of these people, from their faces. A representative that is no longer theirs gives way to
-- their best face; what a user chose wins. What it reads lies under keys, whatever the planner knows.
create function memoria.refresh_people(p_people uuid[]) returns void
language sql set search_path = '' set enable_seqscan = off set jit = off as $$
  with counted as (
    select persons.id, theirs.*
    -- each by its key: joined, PostgreSQL 16 reads the faces of all events before anybody analyzes
    from memoria.persons cross join lateral (
      select count(*) as face_count, avg(quality)::real as avg_quality,
        bool_or(faces.id = persons.representative_face_id) as keeps_cover
      from memoria.faces where person_id = persons.id
    ) as theirs
    where persons.id = any (p_people)
  ), figures as (
    select counted.*, coalesce(
      memoria.chosen_cover(counted.id),
      case
        when keeps_cover then persons.representative_face_id
        else (select id from memoria.faces where person_id = counted.id order by quality desc, id limit 1)
      end
    ) as cover
    from counted join memoria.persons using (id)
  )
  update memoria.persons
  set face_count = figures.face_count,
    avg_quality = figures.avg_quality,
    representative_face_id = figures.cover,
    cluster_label = case when figures.face_count > 0 then cluster_label end
  from figures
  where persons.id = figures.id
    and (persons.face_count, persons.avg_quality, persons.representative_face_id)
      is distinct from (figures.face_count, figures.avg_quality, figures.cover)
$$;

-- Labels count from 0, largest person first, as of the run that gives them.
create function memoria.relabel_people(p_event_id text) returns void
language sql set search_path = '' as $$
  update memoria.persons set cluster_label = ranked.label
  from (
    select id, case when face_count > 0 then
      row_number() over (order by face_count desc, created_at, id) - 1
    end as label
    from memoria.persons where event_id = p_event_id
  ) as ranked
  where persons.id = ranked.id and persons.cluster_label is distinct from ranked.label
$$;

-- The mean vector of each of these identities, of the model that most of its faces have. Computed here
-- alone: a mean that a worker made of vectors that were forgotten meanwhile would give them away.
create function memoria.refresh_centroids(p_people uuid[]) returns void
language sql set search_path = '' set enable_seqscan = off set jit = off as $$
  update memoria.persons set centroid = means.centroid, centroid_faces = means.faces,
    mean_length = means.mean_length, model = coalesce(means.model, persons.model)
  from (
    select person.id, mean.model, mean.faces, extensions.l2_normalize(mean.vector) as centroid,
      extensions.vector_norm(mean.vector) as mean_length
    from unnest(p_people) as person (id) left join lateral (
      select model, count(*) as faces, extensions.avg(embedding) as vector
      from memoria.faces where identity_id = person.id and embedding is not null
      group by model order by count(*) desc, model limit 1
    ) as mean on true
  ) as means
  where persons.id = means.id and (persons.centroid is not null or means.centroid is not null)
$$;

-- Of these people, those go who have no faces left and whom no user touched, or nothing of that can be
-- taken back any more.
create function memoria.drop_empty_people(p_people uuid[]) returns void
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
      and not exists (select from memoria.distinct_people where persons.id in (one_id, other_id))
      and not exists (
        select from memoria.change_people join memoria.changes on changes.id = change_people.change_id
        where change_people.person_id = persons.id and changes.before is not null
      )
    returning id
  )
  select array(select id from gone) into v_gone;
  -- an id that a later run makes again may be somebody else: no search answers with it. A statement
  -- of its own, which sees what a search noted that the deletion waited for.
  update memoria.searches
  set people = array(select person from unnest(people) as person where person <> all (v_gone))
  where event_id = v_event_id and people && v_gone;
end
$$;

-- 21_results.sql

-- The faces of one photo, written in one transaction; doing it twice changes nothing.

-- Intersection over union of two boxes (x, y, w, h).
create function memoria.iou(
  ax double precision, ay double precision, aw double precision, ah double precision,
  bx double precision, by double precision, bw double precision, bh double precision
) returns double precision
language sql immutable set search_path = '' as $$
  with parts as (
    select
      greatest(0, least(ax + aw, bx + bw) - greatest(ax, bx))
        * greatest(0, least(ay + ah, by + bh) - greatest(ay, by)) as common,
      aw * ah + bw * bh as both_areas
  )
  select case when both_areas > common then common / (both_areas - common) else 0 end from parts
$$;

-- The faces of a result as rows, numbered in their order.
create function memoria.parsed_faces(p_faces jsonb) returns table (
  n integer, x real, y real, w real, h real, landmarks real[], score real, quality real,
  embedding extensions.vector
)
language sql immutable set search_path = '' as $$
  select
    number::integer,
    (face #>> '{bbox,x}')::real, (face #>> '{bbox,y}')::real,
    (face #>> '{bbox,w}')::real, (face #>> '{bbox,h}')::real,
    array(select jsonb_array_elements_text(face -> 'landmarks')::real),
    (face ->> 'score')::real, (face ->> 'quality_score')::real,
    (face ->> 'embedding')::extensions.vector
  from jsonb_array_elements(p_faces) with ordinality as item(face, number)
$$;

-- What tombstones of a photo are kept under: its bytes, and its id for where the bytes are not known.
create function memoria.pictures_of(p_media_id text, p_digest text) returns text[]
language sql immutable set search_path = '' as $$
  select array_remove(array['media:' || p_media_id, p_digest], null)
$$;

-- Which stored face each new face is: one to one, best overlap first, at least one half. A tombstone
-- takes its face like a stored one does, and answers null. Where the picture is another one, no stored
-- face is the same.
create function memoria.matched_faces(
  p_media memoria.media, p_digest text, p_faces jsonb
) returns table (n integer, face_id uuid)
language plpgsql stable set search_path = '' as $$
declare
  v_pair record;
  v_new integer[] := '{}';
  v_old text[] := '{}';
begin
  for v_pair in
    with known as (
      select faces.id as face_id, faces.id::text as key, x, y, w, h
      from memoria.faces
      where media_id = p_media.id and (p_media.digest = p_digest) is not false
      union all
      select null, id::text, x, y, w, h from memoria.forgotten_faces
      where event_id = p_media.event_id and picture = any (memoria.pictures_of(p_media.id, p_digest))
    ), pairs as (
      select new.n, known.face_id, known.key,
        memoria.iou(new.x, new.y, new.w, new.h, known.x, known.y, known.w, known.h) as overlap
      from memoria.parsed_faces(p_faces) as new join known
        on new.x < known.x + known.w and known.x < new.x + new.w
        and new.y < known.y + known.h and known.y < new.y + new.h
    )
    select * from pairs where overlap >= 0.5 order by overlap desc, pairs.n, key
  loop
    if not (v_pair.n = any (v_new) or v_pair.key = any (v_old)) then
      v_new := v_new || v_pair.n;
      v_old := v_old || v_pair.key;
      n := v_pair.n;
      face_id := v_pair.face_id;
      return next;
    end if;
  end loop;
end
$$;

-- The id of a face that was not there before: the same photo and box give the same id, so that a
-- result written twice by mistake cannot make two faces. p_turn parts boxes that round to the same.
create function memoria.new_face_id(p_media_id text, x real, y real, w real, h real, p_turn bigint)
returns uuid
language sql immutable set search_path = '' as $$
  select encode(substring(sha256(convert_to(
    concat_ws('|', p_media_id, round(x::numeric, 4), round(y::numeric, 4),
      round(w::numeric, 4), round(h::numeric, 4), p_turn),
    'UTF8'
  )) from 1 for 16), 'hex')::uuid
$$;

-- The ids of a result's faces in their order: of who is known theirs, of who is forgotten null, of the
-- others the first that no stored face bears and no face before it took.
create function memoria.face_ids(p_media memoria.media, p_digest text, p_faces jsonb) returns uuid[]
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
        v_id := memoria.new_face_id(p_media.id, v_face.x, v_face.y, v_face.w, v_face.h, v_turn);
        exit when v_id <> all (array_remove(v_ids, null))
          and not exists (select from memoria.faces where id = v_id);
      end loop;
    end if;
    v_ids := v_ids || v_id;
  end loop;
  return v_ids;
end
$$;

-- What the worker read in boxes that users drew, and that no face of the result is: no vector where there
-- is nothing to be read, or where the worker did not know of the box yet.
create function memoria.read_drawn(p_media memoria.media, p_result jsonb, p_ids uuid[]) returns void
language sql set search_path = '' as $$
  update memoria.faces set
    detected = false, model = p_result ->> 'model', embedding = (body ->> 'embedding')::extensions.vector,
    score = coalesce((body ->> 'score')::real, 0), quality = coalesce((body ->> 'quality_score')::real, 0),
    landmarks = case when body ? 'landmarks' then
      array(select jsonb_array_elements_text(body -> 'landmarks')::real)
    end
  from memoria.faces as face
  left join jsonb_array_elements(p_result -> 'drawn') as body on (body ->> 'face_id')::uuid = face.id
  where faces.id = face.id and face.media_id = p_media.id and face.id <> all (array_remove(p_ids, null))
$$;

-- Replaces the stored faces of a photo by those of a result. Returns the id of each in order, null
-- for who is forgotten.
create function memoria.replace_faces(p_media memoria.media, p_result jsonb) returns uuid[]
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[] := memoria.face_ids(p_media, p_result ->> 'digest', p_result -> 'faces');
begin
  if p_media.digest <> p_result ->> 'digest' then
    -- what users said was of the picture that lay here before
    delete from memoria.corrections where media_id = p_media.id;
  end if;
  delete from memoria.faces where media_id = p_media.id and id <> all (array_remove(v_ids, null))
    and not exists (
      select from memoria.corrections as said
      where said.face_id = faces.id and said.kind = 'drawn' and said.withdrawn_by is null
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

-- What a photo's callback tells: no embeddings, nobody who is forgotten.
create function memoria.media_payload(p_job memoria.jobs, p_result jsonb, p_ids uuid[]) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'job_id', p_job.id, 'media_id', p_job.media_id, 'event_id', p_job.event_id,
    'faces_detected', count(*), 'faces', coalesce(jsonb_agg(jsonb_build_object(
      'bbox', face -> 'bbox', 'quality_score', face -> 'quality_score',
      'landmarks', memoria.named_landmarks(
        array(select jsonb_array_elements_text(face -> 'landmarks')::real)
      )
    ) order by n), '[]'),
    'photos', memoria.last_counts(p_job.event_id),
    'model', p_result -> 'model', 'processing_time_seconds', p_result -> 'processing_time_seconds',
    'status', 'completed'
  )
  from jsonb_array_elements(p_result -> 'faces') with ordinality as item(face, n)
  where p_ids[n] is not null
$$;

create function public.memoria_complete_media(p_job_id uuid, p_token uuid, p_result jsonb) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_job memoria.jobs := memoria.lock_run(p_job_id, p_token);
  v_media memoria.media;
  v_people uuid[];
  v_ids uuid[];
  v_stored integer;
  v_callback uuid;
begin
  if v_job.id is null or v_job.kind <> 'process' then
    return memoria.why_lost(p_job_id);
  end if;
  select * into v_media from memoria.media where id = v_job.media_id;
  if memoria.is_moved(v_job) then
    perform memoria.begin_anew(v_job.id);
    return memoria.skipped('moved');
  end if;
  v_people := array(
    select distinct person_id from memoria.faces where media_id = v_media.id and person_id is not null
  );
  v_ids := memoria.replace_faces(v_media, p_result);
  v_stored := cardinality(array_remove(v_ids, null));
  update memoria.media set
    status = 'completed', completed_at = clock_timestamp(), looked_at = clock_timestamp(),
    error_code = null, error_message = null,
    digest = coalesce(p_result ->> 'digest', digest), model = p_result ->> 'model',
    width = (p_result ->> 'width')::integer, height = (p_result ->> 'height')::integer,
    faces_detected = v_stored
  where id = v_media.id;
  if cardinality(v_people) > 0 then
    perform memoria.refresh_people(v_people);
    perform memoria.review_suggestions(v_media.event_id, v_people, '{}');
    perform memoria.touch_people(v_media.event_id);
  end if;
  perform memoria.touch_photos(v_media.event_id);
  perform memoria.settle_event(v_media.event_id);
  v_callback := memoria.finish_job(v_job, memoria.media_payload(v_job, p_result, v_ids));
  if p_result ? 'drawn' and exists (
    select from jsonb_array_elements(memoria.drawn_in(v_media.id)) as wanted
    where not p_result -> 'drawn' @> jsonb_build_array(jsonb_build_object('face_id', wanted -> 'face_id'))
  ) then
    perform memoria.read_again(v_media.id);  -- drawn since the worker began
  end if;
  return jsonb_build_object(
    'outcome', 'stored', 'faces_stored', v_stored, 'face_ids', to_jsonb(v_ids), 'callback_job_id', v_callback
  );
end
$$;

-- 22_runs.sql

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
    'total', (
      select count(*) from memoria.faces
      where event_id = p_event_id and embedding is not null and dismissed is null
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

-- Who is in which group, with the people made who are new. A person that a user forgot since the run
-- loaded them does not come back: their group becomes a stranger's. p_kept: whose faces stay.
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

-- Faces that are in no group. Those that came since the run loaded are in neither list: the next run
-- looks at them. p_kept: whose faces stay.
create function memoria.store_nobody(p_event_id text, p_face_ids jsonb, p_kept uuid[]) returns void
language sql set search_path = '' as $$
  update memoria.faces set identity_id = null
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
  perform memoria.store_groups(v_job.event_id, p_result -> 'groups', v_kept);
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

-- 23_changes.sql

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
    update memoria.faces
    set identity_id = taken.identity_id, person_id = memoria.root_of(taken.identity_id)
    from (
      select id, case when not exists (
        select from memoria.corrections as said
        where said.face_id = faces.id and said.kind = 'reject' and said.withdrawn_by is null
          and memoria.root_of(said.person_id) = memoria.root_of(p_change.other_person_id)
      ) then p_change.other_person_id end as identity_id
      from memoria.faces where identity_id = v_id
    ) as taken
    where faces.id = taken.id;
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
  from memoria.faces as face left join memoria.corrections as said
    on said.face_id = face.id and said.kind in ('no_face', 'nobody') and said.withdrawn_by is null
  where face.id = any (p_face_ids) and faces.id = face.id and faces.dismissed is distinct from said.kind
$$;

-- The people whom a change names or moves faces between, as rows of memoria.persons.
create function memoria.people_of_change(c memoria.changes) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select id from memoria.persons where event_id = c.event_id and id in (
      select c.person_id
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
    )
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

-- 30_events.sql

-- What an app does with events: make, share, look after, archive, delete.

create function public.memoria_create_event(p_event_id text, p_owner_id uuid default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_user uuid := (select auth.uid());
  v_event memoria.events;
begin
  if not exists (select from memoria.events where id = p_event_id) then
    if not memoria.may(p_event_id, 'create') or (
      not memoria.caller_is_trusted() and (v_user is null or p_owner_id <> v_user)
    ) then
      perform memoria.refuse_unknown('event');
    end if;
    insert into memoria.events (id, owner_id, made_by)
    values (
      p_event_id, coalesce(p_owner_id, v_user), case when not memoria.caller_is_trusted() then v_user end
    )
    on conflict do nothing returning * into v_event;
  end if;
  if v_event.id is null then
    -- a conflict of ids is never silent, also with who makes it at this instant
    select * into v_event from memoria.events where id = p_event_id;
    if not memoria.may(p_event_id, 'manage') and not memoria.may(p_event_id, 'create') then
      perform memoria.refuse_unknown('event');
    elsif not memoria.may(p_event_id, 'manage') or p_owner_id <> v_event.owner_id then
      raise exception 'An event of this id is there already, and is another''s.' using errcode = 'PT409';
    end if;
  end if;
  return jsonb_build_object('event_id', v_event.id, 'owner_id', v_event.owner_id, 'status', v_event.status);
end
$$;

-- Whether the caller may change who is host: the owner, another host, the service role.
create function memoria.acts_as_host(p_event_id text) returns boolean
language sql stable set search_path = '' as $$
  select memoria.caller_is_trusted() or coalesce(memoria.role_in(p_event_id, (select auth.uid())) = 'host', false)
$$;

-- Raises where a member's role may not be changed by the caller. The event is locked.
create function memoria.check_member_change(p_event memoria.events, p_user_id uuid, p_role text) returns void
language plpgsql set search_path = '' as $$
begin
  if p_user_id is null then
    raise exception 'p_user_id is missing.' using errcode = '22023';
  elsif p_user_id = p_event.owner_id then
    raise exception 'The owner is always host: change the owner instead.' using errcode = 'PT409';
  elsif not memoria.acts_as_host(p_event.id)
    and 'host' in (coalesce(p_role, ''), coalesce(memoria.role_in(p_event.id, p_user_id), '')) then
    raise exception 'Only a host makes or changes hosts.' using errcode = '42501';
  end if;
end
$$;

create function public.memoria_add_member(p_event_id text, p_user_id uuid, p_role text) returns jsonb
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
  on conflict (event_id, user_id) do update set role = excluded.role;
  return jsonb_build_object('event_id', p_event_id, 'user_id', p_user_id, 'role', p_role);
end
$$;

-- A member may also leave.
create function public.memoria_remove_member(p_event_id text, p_user_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_leaves boolean := p_user_id = (select auth.uid());
  v_event memoria.events := memoria.lock_event_for(p_event_id, case when v_leaves then 'view' else 'manage' end);
begin
  if not v_leaves or p_user_id = v_event.owner_id then
    perform memoria.check_member_change(v_event, p_user_id, null);
  end if;
  delete from memoria.members where event_id = p_event_id and user_id = p_user_id;
  return jsonb_build_object('event_id', p_event_id, 'user_id', p_user_id, 'removed', found);
end
$$;

-- In the order in which they were added.
create function public.memoria_members(
  p_event_id text, p_after jsonb default null, p_limit integer default 100
) returns jsonb
language plpgsql stable security definer
set search_path = ''
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_limit integer := memoria.page_limit(p_limit);
  v_after timestamptz := coalesce((p_after ->> 'added_at')::timestamptz, '-infinity');
  v_after_id uuid := coalesce(memoria.as_uuid(p_after ->> 'user_id'), '00000000-0000-0000-0000-000000000000');
  v_page memoria.members[];
begin
  perform memoria.authorize(p_event_id, 'manage');
  v_page := array(
    select members from memoria.members
    where event_id = p_event_id and (added_at, user_id) > (v_after, v_after_id)
    order by added_at, user_id limit v_limit + 1
  );
  return jsonb_build_object(
    'event_id', p_event_id,
    'owner_id', (select owner_id from memoria.events where id = p_event_id),
    'members', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'user_id', user_id, 'role', role, 'added_by', added_by, 'added_at', added_at
      ) order by added_at, user_id), '[]')
      from unnest(v_page[:v_limit])
    ),
    'next', case when cardinality(v_page) > v_limit then jsonb_build_object(
      'added_at', v_page[v_limit].added_at, 'user_id', v_page[v_limit].user_id
    ) end
  );
end
$$;

-- By the owner and the service role alone. The former owner keeps no role.
create function public.memoria_set_owner(p_event_id text, p_owner_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_event memoria.events := memoria.lock_event_for(p_event_id, 'manage');
begin
  if not memoria.caller_is_trusted() and v_event.owner_id is distinct from (select auth.uid()) then
    raise exception 'Only the owner gives an event away.' using errcode = '42501';
  elsif not memoria.caller_is_trusted() and p_owner_id is null then
    raise exception 'p_owner_id is missing.' using errcode = '22023';
  end if;
  delete from memoria.members where event_id = p_event_id and user_id = p_owner_id;
  update memoria.events set owner_id = p_owner_id where id = p_event_id;
  return jsonb_build_object('event_id', p_event_id, 'owner_id', p_owner_id);
end
$$;

-- waiting, running, idle; needs_memory, where the next run waits for a larger instance; or failed, when
-- the last run is dead and none follows.
create function memoria.clustering_state(p_event_id text) returns text
language sql stable set search_path = '' as $$
  select coalesce(
    (
      select case
        when bool_or(status = 'running') then 'running'
        when bool_or(waiting and error_code = 'needs_memory') then 'needs_memory'
        else 'waiting'
      end
      from memoria.jobs
      where event_id = p_event_id and kind = 'cluster' and status in ('queued', 'dispatched', 'running')
      having count(*) > 0
    ),
    (
      select 'failed' from (
        select status from memoria.jobs
        where event_id = p_event_id and kind = 'cluster' and status in ('completed', 'failed')
        order by finished_at desc limit 1
      ) as last_run
      where status = 'failed'
    ),
    'idle'
  )
$$;

create function public.memoria_event_status(p_event_id text) returns jsonb
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
    -- nothing is left to do, and the people are those of all photos
    'done', v_photos ->> 'pending' = '0' and v_clustering = 'idle',
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
create function public.memoria_archive_event(p_event_id text) returns jsonb
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
    status = 'archived', ungrouped_since = null, archive_at = case when archive_at > now() then archive_at end
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
create function memoria.queue_media(p_event_id text, p_media_ids text[]) returns integer
language plpgsql set search_path = '' as $$
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

-- Photos of an archived event that are to be looked at when it is opened again. The event is locked.
create function memoria.put_off_media(p_event_id text, p_media_ids text[]) returns void
language plpgsql set search_path = '' as $$
begin
  update memoria.media set
    status = 'failed', completed_at = clock_timestamp(),
    error_code = 'event_archived', error_message = 'The event is archived.'
  where event_id = p_event_id and id = any (p_media_ids);
  perform memoria.touch_photos(p_event_id);
  perform memoria.tell_progress(p_event_id);
end
$$;

-- Opens an archived event again: the photos whose vectors went, or that were not done, are processed.
create function public.memoria_reopen_event(p_event_id text) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_queued integer := 0;
begin
  if (memoria.lock_event_for(p_event_id, 'manage')).status = 'archived' then
    -- one whose time ran out meanwhile would be archived again at once
    update memoria.events set status = 'open', archive_at = case when archive_at > now() then archive_at end
    where id = p_event_id;
    v_queued := memoria.queue_media(p_event_id, array(
      select id from memoria.media
      where event_id = p_event_id and (
        status = 'pending' or error_code = 'event_archived'
        or exists (select from memoria.faces where media_id = media.id and embedding is null)
      )
    ));
    perform memoria.settle_event(p_event_id, v_queued = 0);
  end if;
  return jsonb_build_object('event_id', p_event_id, 'status', 'open', 'queued', v_queued);
end
$$;

-- Removes an event with everything in it.
create function public.memoria_delete_event(p_event_id text) returns jsonb
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
  delete from memoria.hand_overs where event_id = p_event_id;
  delete from memoria.events where id = p_event_id;
  return jsonb_build_object('event_id', p_event_id, 'deleted', true);
end
$$;

-- Groups the event's faces anew, now.
create function public.memoria_recluster(p_event_id text) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
  perform memoria.lock_open_event(p_event_id, 'manage');
  return jsonb_build_object('event_id', p_event_id, 'job_id', memoria.cluster_now(p_event_id));
end
$$;

-- Looks at every photo of the event again, for instance with another model.
create function public.memoria_reprocess(p_event_id text) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
begin
  perform memoria.lock_open_event(p_event_id, 'manage');
  return jsonb_build_object('event_id', p_event_id, 'queued', memoria.queue_media(
    p_event_id, array(select id from memoria.media where event_id = p_event_id)
  ));
end
$$;

-- 31_media.sql

-- Photos come and go: one, many, or the rows of the app's own table.

-- A photo as it is handed over.
create type memoria.handed as (media_id text, event_id text, bucket text, path text, preview_path text);
create type memoria.refused as (media_id text, event_id text, code text, message text);

-- What is wrong with a photo as it is handed over, or null.
create function memoria.fault_of(p memoria.handed) returns text
language sql immutable set search_path = '' as $$
  select case
    when not memoria.is_id(p.media_id)
      then 'The id of a photo has 1 to 200 characters, none of them a control character.'
    when not memoria.is_id(p.event_id)
      then 'The id of an event has 1 to 200 characters, none of them a control character.'
    when not memoria.is_bucket(p.bucket)
      then 'The bucket is a name in Storage, or gs://name for Google Cloud Storage.'
    when not memoria.is_object_name(p.bucket, p.path)
      then 'The path has 1 to 1024 characters, no empty or dotted segment, no % and no control character.'
    when p.preview_path is not null and not memoria.is_object_name(p.bucket, p.preview_path)
      then 'The preview''s path has 1 to 1024 characters, no empty or dotted segment, no % and no control character.'
  end
$$;

-- Who is in photos, or was said to be.
create function memoria.people_in(p_media_ids text[]) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select person_id from memoria.faces where media_id = any (p_media_ids) and person_id is not null
    union
    select identity_id from memoria.faces where media_id = any (p_media_ids) and identity_id is not null
    union
    select person_id from memoria.corrections where media_id = any (p_media_ids) and person_id is not null
  )
$$;

-- What is kept of people some of whose faces have gone. The event is locked.
create function memoria.faces_are_gone(p_event_id text, p_people uuid[]) returns void
language plpgsql set search_path = '' as $$
begin
  if cardinality(p_people) > 0 then
    perform memoria.drop_empty_people(p_people);
    perform memoria.refresh_centroids(p_people);
    perform memoria.refresh_people(p_people);
    perform memoria.touch_people(p_event_id);
  end if;
  perform memoria.review_suggestions(p_event_id, p_people, '{}');
end
$$;

-- Removes photos of an event that is locked, with faces, corrections, jobs and callbacks; who remains is
-- grouped anew.
create function memoria.remove_media(p_event_id text, p_media_ids text[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_people uuid[] := memoria.people_in(p_media_ids);
begin
  delete from memoria.media where event_id = p_event_id and id = any (p_media_ids);
  perform memoria.faces_are_gone(p_event_id, v_people);
  perform memoria.touch_photos(p_event_id);
  if exists (select from memoria.events where id = p_event_id and status = 'open') then
    perform memoria.settle_event(p_event_id, cardinality(v_people) > 0);
  end if;
end
$$;

-- Of a photo that cannot be read, the faces of the picture that it was before: they are on no picture that
-- anybody can see. Returns whether there were any. The event is locked.
create function memoria.remove_replaced_faces(p_event_id text, p_media_id text) returns boolean
language plpgsql set search_path = '' as $$
declare
  v_people uuid[] := memoria.people_in(array[p_media_id]);
begin
  update memoria.media set
    looked_at = null, digest = null, model = null, width = null, height = null, faces_detected = null
  where id = p_media_id and placed_at > looked_at;
  if not found then
    return false;
  end if;
  delete from memoria.corrections where media_id = p_media_id;
  delete from memoria.faces where media_id = p_media_id;
  perform memoria.faces_are_gone(p_event_id, v_people);
  return true;
end
$$;

-- Locks, in the order of their ids, the events of photos that are known already and differ.
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

-- Writes down what could not be handed over, or whose row was taken over.
create function memoria.note_hand_overs(p_relation text, p_refused memoria.refused[], p_failed boolean) returns void
language sql set search_path = '' as $$
  insert into memoria.hand_overs (relation, row_id, event_id, code, message, failed)
  select distinct on (row_id) p_relation, row_id, left(event_id, 200), code, message, p_failed
  from unnest(p_refused), lateral (select left(coalesce(media_id, ''), 200) as row_id) as kept order by row_id
  on conflict (relation, row_id) where failed and code <> 'not_handed_over'
  do update set event_id = excluded.event_id, code = excluded.code, message = excluded.message,
    created_at = excluded.created_at
$$;

-- Makes room under ids that the app's table wants: a row that a user put there goes, with its faces, and
-- that is recorded; one that the table has moved to another event goes, too. The events are locked. Each photo is
-- looked up by its key: a join may read all of the table's.
create function memoria.clear_squatted(p_rows memoria.handed[], p_source text) returns void
language plpgsql set search_path = '' as $$
declare
  v_gone record;
begin
  for v_gone in
    select media.event_id, array_agg(media.id) as ids, array_agg(
      row(media.id, given.event_id, 'taken_over',
        'A user had put a photo under this id; it went, with its faces.')::memoria.refused
    ) filter (where media.source is null) as taken_over
    from unnest(p_rows) as given
    cross join lateral (select * from memoria.media where id = given.media_id offset 0) as media
    where (media.source is null and media.added_by is not null
        and (media.event_id, media.bucket, media.path) <> (given.event_id, given.bucket, given.path))
      or (media.source = p_source and media.event_id <> given.event_id)
    group by media.event_id order by media.event_id
  loop
    perform memoria.remove_media(v_gone.event_id, v_gone.ids);
    if v_gone.taken_over is not null then
      perform memoria.note_hand_overs(p_source, v_gone.taken_over, false);
    end if;
  end loop;
end
$$;

-- Brings photos that are known in this event to how they are handed over now: processed anew where the
-- object is another one (of an archived event, once it is reopened), or where the photo had failed and is
-- handed over by hand. The events are locked.
create function memoria.update_known(p_rows memoria.handed[], p_source text) returns void
language plpgsql set search_path = '' as $$
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
  where media.id = given.media_id
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
-- them over. Their events exist. Returns those that could not be taken.
create function memoria.take_in(p_rows memoria.handed[], p_source text, p_added_by uuid)
returns memoria.refused[]
language plpgsql set search_path = '' as $$
declare
  v_rows memoria.handed[];
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
  -- twice at most: a row that somebody else adds at this instant is known the second time
  for v_turn in 1..2 loop
    perform memoria.lock_events_of(v_rows, p_source);
    if p_source is not null then
      perform memoria.clear_squatted(v_rows, p_source);
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
      select given from unnest(v_rows) as given where media_id <> all (v_foreign)
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
      where media_id not in (select id from added)
        and not exists (select from memoria.media where id = given.media_id)
    ) into v_rows;
    v_refused := v_refused || array(
      select row(given.media_id, given.event_id, 'id_taken',
        'This id is taken by another photo.')::memoria.refused
      from unnest(p_rows) as given where given.media_id = any (v_foreign)
    );
    exit when cardinality(v_rows) = 0;
  end loop;
  return v_refused;
end
$$;

-- Raises 429 where an owner's photos that wait would become more than allowed. Each of the owner's events is
-- looked up by its key: without statistics a plan would read what waits in all events.
create function memoria.check_pending(p_event_id text, p_more integer) returns void
language plpgsql stable set search_path = '' set enable_seqscan = off as $$
declare
  v_most bigint := memoria.number('max_pending_per_owner');
  v_theirs text[] := array(
    select p_event_id
    union
    select id from memoria.events
    where owner_id = (select owner_id from memoria.events where id = p_event_id)
  );
  v_pending bigint;
begin
  select count(*) into v_pending from (
    select from unnest(v_theirs) as theirs (id), lateral (
      select from memoria.media where event_id = theirs.id and status = 'pending' offset 0
    ) as waiting
    limit v_most
  ) as counted;
  if v_pending + p_more > v_most then
    raise exception 'Too many photos of this owner wait already: max_pending_per_owner is %.', v_most
      using errcode = 'PT429';
  end if;
end
$$;

-- The event that photos are handed over into, open and the caller's to add to; the service role makes it.
create function memoria.check_enqueue(p_event_id text, p_rows memoria.handed[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_trusted boolean := memoria.caller_is_trusted();
begin
  if not memoria.may(p_event_id, 'contribute') then
    perform memoria.refuse_unknown('event');
  elsif v_trusted then
    insert into memoria.events (id, owner_id)
    select p_event_id, (select auth.uid())
    where not exists (select from memoria.events where id = p_event_id) on conflict do nothing;
  elsif not exists (select from memoria.events where id = p_event_id) then
    perform memoria.refuse_unknown('event');
  end if;
  if exists (select from memoria.events where id = p_event_id and status = 'archived') then
    raise exception 'This event is archived: reopen it first.' using errcode = 'PT409';
  elsif not v_trusted then
    perform memoria.check_pending(p_event_id, cardinality(p_rows));
  end if;
end
$$;

-- Of these photos, those whose objects the user may not have processed.
create function memoria.not_theirs(p_rows memoria.handed[]) returns memoria.refused[]
language plpgsql stable set search_path = '' as $$
begin
  if memoria.caller_is_trusted() then
    return '{}';
  end if;
  return array(
    select row(media_id, event_id, 'not_yours', 'This object is not yours.')::memoria.refused
    from unnest(p_rows) as given
    where memoria.fault_of(given) is null and (
      memoria.can_use_object(bucket, path) is not true
      or (preview_path is not null and memoria.can_use_object(bucket, preview_path) is not true)
    )
  );
end
$$;

-- The job of a photo that was handed over; without one, how the photo stands: somebody may have deleted
-- it or archived its event at the same instant.
create function memoria.process_job_of(p_media_id text, p_event_id text) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(
    (
      select jsonb_build_object('job_id', id, 'media_id', media_id, 'event_id', event_id, 'status', status)
      from memoria.jobs where kind = 'process' and media_id = p_media_id
      order by finished_at desc nulls first, created_at desc limit 1
    ),
    jsonb_build_object('job_id', null, 'media_id', p_media_id, 'event_id', p_event_id, 'status', coalesce(
      (select status from memoria.media where id = p_media_id), 'cancelled'
    ))
  )
$$;

-- Hands a photo over. One that is known keeps its job, unless its place in storage changed or it had
-- failed: then it is processed anew.
create function public.memoria_enqueue(
  p_media_id text, p_event_id text, p_bucket text, p_path text, p_preview_path text default null
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_rows memoria.handed[] := array[row(p_media_id, p_event_id, p_bucket, p_path, p_preview_path)::memoria.handed];
  v_fault text := memoria.fault_of(v_rows[1]);
  v_refused memoria.refused[];
begin
  if v_fault is not null then
    raise exception '%', v_fault using errcode = '22023';
  end if;
  perform memoria.check_enqueue(p_event_id, v_rows);
  if cardinality(memoria.not_theirs(v_rows)) > 0 then
    raise exception 'This object is not yours.' using errcode = '42501';
  end if;
  v_refused := memoria.take_in(v_rows, null, (select auth.uid()));
  if cardinality(v_refused) > 0 then
    raise exception '%', v_refused[1].message using errcode = 'PT409';
  end if;
  return memoria.process_job_of(p_media_id, p_event_id);
end
$$;

-- Hands over at most 1,000 photos of an event: [{"media_id", "bucket", "path", "preview_path"}]. Each is
-- answered by its job, or by the error that kept it out.
create function public.memoria_enqueue_many(p_event_id text, p_media jsonb) returns jsonb
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
    select row(item ->> 'media_id', p_event_id, item ->> 'bucket', item ->> 'path', item ->> 'preview_path')::memoria.handed
    from jsonb_array_elements(p_media) as item
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
    from unnest(v_rows) with ordinality as given (media_id, event_id, bucket, path, preview_path, n)
  ));
end
$$;

-- Removes a photo with everything of it: by who manages the event, or who contributed it.
create function public.memoria_delete_media(p_media_id text) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_media memoria.media;
begin
  select * into v_media from memoria.media where id = p_media_id;
  if not found or not (
    memoria.may(v_media.event_id, 'manage')
    or (memoria.may(v_media.event_id, 'contribute') and coalesce(v_media.added_by = (select auth.uid()), false))
  ) then
    perform memoria.refuse_unknown('photo');
  end if;
  perform memoria.lock_event(v_media.event_id);
  perform memoria.remove_media(v_media.event_id, array[p_media_id]);
  return jsonb_build_object('media_id', p_media_id, 'event_id', v_media.event_id, 'deleted', true);
end
$$;

-- 32_follow.sql

-- The app's own table of photos, followed by triggers: what is inserted, changed and deleted there is
-- handed over here, a thousand rows as cheaply as one. The app's table wins, and its statements never
-- fail by it, nor wait for long: what could not be handed over is written to memoria.hand_overs, and tried
-- again.

-- The columns of a followed table as an expression of type memoria.handed.
create function memoria.handed_expression(p_columns jsonb) returns text
language sql immutable set search_path = '' as $$
  select format(
    'row(%I::text, %I::text, %s, %I::text, %s)::memoria.handed',
    p_columns ->> 'id', p_columns ->> 'event',
    case when p_columns ? 'bucket_column' then format('%I::text', p_columns ->> 'bucket_column')
      else format('%L::text', p_columns ->> 'bucket') end,
    p_columns ->> 'path',
    case when p_columns ? 'preview_path' then format('%I::text', p_columns ->> 'preview_path') else 'null::text' end
  )
$$;

-- {event: its owner} of some rows of a followed table.
create function memoria.owners_expression(p_columns jsonb) returns text
language sql immutable set search_path = '' as $$
  select case when p_columns ? 'owner' then format(
    'coalesce(jsonb_object_agg(%1$I::text, %2$I::text) filter (where %1$I is not null), ''{}'')',
    p_columns ->> 'event', p_columns ->> 'owner'
  ) else 'null::jsonb' end
$$;

-- Makes the events that rows name, and gives back to the app those that a user made under its ids. The
-- photos of a followed table are never filed under an event of which only a user says whose it is.
-- Returns the events that are not the app's.
create function memoria.claim_events(p_relation text, p_events text[], p_owners jsonb) returns text[]
language plpgsql set search_path = '' as $$
declare
  v_event memoria.events;
  v_owner uuid;
begin
  insert into memoria.events (id, owner_id)
  select id, memoria.as_uuid(p_owners ->> id) from unnest(p_events) as wanted (id)
  where not exists (select from memoria.events where events.id = wanted.id)
  order by id on conflict do nothing;
  if p_owners is null then
    return array(select id from memoria.events where id = any (p_events) and made_by is not null);
  end if;
  for v_event in
    select * from memoria.events
    where id = any (p_events) and (made_by is not null or owner_id is null)
      and owner_id is distinct from memoria.as_uuid(p_owners ->> id)
    order by id for no key update
  loop
    v_owner := memoria.as_uuid(p_owners ->> v_event.id);
    if v_event.made_by is not null then
      delete from memoria.members where event_id = v_event.id;
      perform memoria.remove_media(v_event.id, array(
        select id from memoria.media where event_id = v_event.id and source is null and added_by is not null
      ));
      perform memoria.note_hand_overs(p_relation, array[row(
        v_event.id, v_event.id, 'event_taken_over',
        'A user had made an event of this id; it is the app''s again, without that user''s photos and members.'
      )::memoria.refused], false);
    end if;
    update memoria.events set owner_id = v_owner, made_by = null where id = v_event.id;
  end loop;
  return '{}';
end
$$;

-- Removes photos of a followed table that are no longer its rows.
create function memoria.remove_followed(p_relation text, p_ids text[]) returns void
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

-- Takes in rows of a followed table. What is not complete yet, or cannot be taken, is written down.
create function memoria.hand_over(p_relation text, p_rows memoria.handed[], p_owners jsonb) returns integer
language plpgsql set search_path = '' as $$
declare
  v_rows memoria.handed[];
  v_refused memoria.refused[];
  v_others text[];
begin
  v_refused := array(
    select row(media_id, event_id, 'incomplete',
      'The row names no ' || case when event_id is null then 'event' else 'path' end || ' yet.')::memoria.refused
    from unnest(p_rows) where event_id is null or path is null
  );
  perform memoria.remove_followed(p_relation, array(select media_id from unnest(v_refused)));
  v_rows := array(select given from unnest(p_rows) as given where event_id is not null and path is not null);
  v_others := memoria.claim_events(p_relation, array(
    select distinct event_id from unnest(v_rows) as given where memoria.fault_of(given) is null
  ), p_owners);
  v_refused := v_refused || array(
    select row(media_id, event_id, 'event_of_a_user',
      'A user made an event of this id: name the column of the event''s owner in memoria_follow.')::memoria.refused
    from unnest(v_rows) where event_id = any (v_others)
  );
  v_rows := array(select given from unnest(v_rows) as given where event_id <> all (v_others));
  v_refused := v_refused || memoria.take_in(v_rows, p_relation, null);
  delete from memoria.hand_overs
  where relation = p_relation and failed and code <> 'not_handed_over'
    and row_id = any (array(select media_id from unnest(p_rows)));
  perform memoria.note_hand_overs(p_relation, v_refused, true);
  return cardinality(p_rows) - cardinality(v_refused);
end
$$;

-- Writes down rows that met with trouble of ours, to be tried again by the sweeper.
create function memoria.postpone_hand_over(p_relation text, p_rows memoria.handed[], p_message text) returns void
language sql set search_path = '' as $$
  insert into memoria.hand_overs (relation, row_id, event_id, code, message, failed)
  select p_relation, left(coalesce(media_id, ''), 200), left(event_id, 200), 'not_handed_over', p_message, true
  from unnest(p_rows)
$$;

-- Tells that changes of a table went by unnoticed, until it is followed again. Nobody is waited for.
create function memoria.note_broken(p_relation text, p_message text) returns void
language plpgsql set search_path = '' as $$
begin
  raise warning 'memoria: changes of % were not handed over: %', p_relation, p_message;
  update memoria.followed set broken = p_message where relation in (
    select relation from memoria.followed
    where relation = p_relation and broken is null for no key update skip locked
  );
exception when others then
  raise warning 'memoria: nor could that be written down: %', sqlerrm;
end
$$;

-- It waits for a lock for half a second, less than a deadlock takes to be seen: what waits longer is the
-- sweeper's. Whoever waited in vain once waits no more in this transaction, so that waits do not add up to the
-- time that the app's statement has.
create function memoria.follow_changes() returns trigger
language plpgsql security definer set search_path = '' set lock_timeout = '500ms' as $$
declare
  v_relation text := tg_argv[0];
  v_columns jsonb;
  v_rows memoria.handed[] := '{}';
  v_gone memoria.handed[] := '{}';
  v_ids text[];
  v_owners jsonb;
begin
  if current_setting('memoria.waited_in_vain', true) = 'yes' then
    perform set_config('lock_timeout', '1ms', true);
  end if;
  select columns into v_columns from memoria.followed where relation = v_relation;
  if tg_op in ('INSERT', 'UPDATE') then
    execute format(
      'select coalesce(array_agg(%s), ''{}''), %s from memoria_added',
      memoria.handed_expression(v_columns), memoria.owners_expression(v_columns)
    ) into v_rows, v_owners;
  end if;
  if tg_op in ('UPDATE', 'DELETE') then
    execute format(
      'select coalesce(array_agg(%s), ''{}'') from memoria_removed', memoria.handed_expression(v_columns)
    ) into v_gone;
  elsif tg_op = 'TRUNCATE' then
    v_gone := array(
      select row(id, event_id, bucket, path, preview_path)::memoria.handed
      from memoria.media where source = v_relation
    );
  end if;
  v_ids := array(select media_id from unnest(v_gone) except select media_id from unnest(v_rows));
  if tg_op = 'UPDATE' then
    -- only what changed, of what concerns us
    v_rows := array(select given from unnest(v_rows) as given except select given from unnest(v_gone) as given);
  end if;
  begin
    perform memoria.remove_followed(v_relation, v_ids);
    if cardinality(v_rows) > 0 then
      perform memoria.hand_over(v_relation, v_rows, v_owners);
    end if;
  exception when others then
    perform set_config('memoria.waited_in_vain', 'yes', true);
    perform memoria.postpone_hand_over(v_relation, v_rows || array(
      select given from unnest(v_gone) as given where media_id = any (v_ids)
    ), sqlerrm);
  end;
  return null;
exception when others then
  -- never a reason for the app's statement to fail
  perform memoria.note_broken(v_relation, sqlerrm);
  return null;
end
$$;

-- Rows of a followed table as they are now, and the owners of their events.
create function memoria.rows_now(p_relation text, p_ids text[], out rows memoria.handed[], out owners jsonb)
language plpgsql stable
set search_path = ''
-- rows that a policy hides are not gone: an error instead
set row_security = off
as $$
declare
  v_columns constant jsonb := (select columns from memoria.followed where relation = p_relation);
begin
  execute format(
    'select coalesce(array_agg(%s), ''{}''), %s from %s where %I::text = any ($1)',
    memoria.handed_expression(v_columns), memoria.owners_expression(v_columns), p_relation, v_columns ->> 'id'
  ) into rows, owners using p_ids;
end
$$;

-- Tries again rows that were written down: as they are now; those that are gone are removed. What the app
-- changed meanwhile stays written down: its own hand-over may have come before this one.
create function memoria.retry_rows(p_relation text, p_late bigint[]) returns integer
language plpgsql set search_path = '' as $$
declare
  v_ids constant text[] := array(select distinct row_id from memoria.hand_overs where id = any (p_late));
  v_before record;
  v_after record;
  v_count integer;
begin
  select * into v_before from memoria.rows_now(p_relation, v_ids);
  perform memoria.remove_followed(p_relation, array(
    select id from unnest(v_ids) as late (id)
    where id not in (select media_id from unnest(v_before.rows) where media_id is not null)
  ));
  v_count := memoria.hand_over(p_relation, v_before.rows, v_before.owners);
  select * into v_after from memoria.rows_now(p_relation, v_ids);
  delete from memoria.hand_overs where id = any (p_late) and row_id not in (
    select media_id from (
      (select * from unnest(v_before.rows) except select * from unnest(v_after.rows))
      union all
      (select * from unnest(v_after.rows) except select * from unnest(v_before.rows))
    ) as changed
    where media_id is not null
  );
  return v_count;
end
$$;

-- A thousand rows of a table; where that fails, the half of them, until one is alone, which goes behind all
-- others. One success ends it: no event is waited for while others are held. Nor for so long that the sweep ends.
create function memoria.retry_table(p_relation text) returns integer
language plpgsql set search_path = '' set lock_timeout = '10s' as $$
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

-- One table in one sweep, the tables in turn: no table waits for another's trouble to end, and no event of one is
-- held while those of another are waited for.
create function memoria.retry_hand_overs() returns integer
language plpgsql set search_path = '' as $$
declare
  v_relation text := (
    select relation from memoria.followed
    where exists (
      select from memoria.hand_overs
      where relation = followed.relation and failed and code = 'not_handed_over'
    )
    order by retried_at, relation limit 1
  );
  v_count integer;
begin
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

create function memoria.unfollow_triggers(p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare
  v_trigger text;
begin
  foreach v_trigger in array array['insert', 'update', 'delete', 'truncate'] loop
    execute format('drop trigger if exists %I on %s', 'memoria_follow_' || v_trigger, p_table);
  end loop;
end
$$;

create function memoria.follow_triggers(p_table regclass, p_relation text) returns void
language plpgsql set search_path = '' as $$
declare
  v_trigger record;
begin
  for v_trigger in
    select * from (values
      ('insert', 'referencing new table as memoria_added'),
      ('update', 'referencing old table as memoria_removed new table as memoria_added'),
      ('delete', 'referencing old table as memoria_removed'),
      ('truncate', '')
    ) as one (event, tables)
  loop
    execute format(
      'create trigger %I after %s on %s %s for each statement execute function memoria.follow_changes(%L)',
      'memoria_follow_' || v_trigger.event, v_trigger.event, p_table, v_trigger.tables, p_relation
    );
  end loop;
end
$$;

create function memoria.name_of(p_table regclass) returns text
language sql stable set search_path = '' as $$
  select format('%I.%I', nspname, relname)
  from pg_class join pg_namespace on pg_namespace.oid = relnamespace where pg_class.oid = p_table
$$;

-- Every row that is there already, in pages.
create function memoria.hand_over_existing(p_table regclass, p_relation text, p_columns jsonb) returns integer
language plpgsql set search_path = '' as $$
declare
  v_row record;
  v_rows memoria.handed[] := '{}';
  v_owners jsonb := case when p_columns ? 'owner' then '{}'::jsonb end;
  v_count integer := 0;
begin
  for v_row in execute format(
    'select %s as handed, %s as owner from %s', memoria.handed_expression(p_columns),
    case when p_columns ? 'owner' then format('%I::text', p_columns ->> 'owner') else 'null::text' end, p_table
  ) loop
    v_rows := v_rows || v_row.handed;
    if v_row.owner is not null and (v_row.handed).event_id is not null and not v_owners ? (v_row.handed).event_id then
      v_owners := v_owners || jsonb_build_object((v_row.handed).event_id, v_row.owner);
    end if;
    if cardinality(v_rows) >= 5000 then
      v_count := v_count + memoria.hand_over(p_relation, v_rows, v_owners);
      v_rows := '{}';
    end if;
  end loop;
  return v_count + memoria.hand_over(p_relation, v_rows, v_owners);
end
$$;

-- Photos whose rows are gone unnoticed: while the triggers were off, or by a restore. The join is hashed:
-- statistics of an empty table would compare all rows with all photos.
create function memoria.gone_from(p_table regclass, p_relation text, p_columns jsonb) returns text[]
language plpgsql stable
set search_path = ''
-- rows that a policy hides are not gone: an error instead
set row_security = off
set enable_nestloop = off
as $$
declare
  v_ids text[];
begin
  execute format(
    'select array(select id from memoria.media where source = $1'
    ' and not exists (select from %s where %I::text = media.id) order by event_id, id)',
    p_table, p_columns ->> 'id'
  ) into v_ids using p_relation;
  return v_ids;
end
$$;

create function memoria.remove_gone(p_table regclass, p_relation text, p_columns jsonb) returns void
language plpgsql set search_path = '' as $$
declare
  v_gone constant text[] := memoria.gone_from(p_table, p_relation, p_columns);
begin
  for v_page in 0..(cardinality(v_gone) - 1) / 5000 loop
    perform memoria.remove_followed(p_relation, v_gone[v_page * 5000 + 1 : (v_page + 1) * 5000]);
  end loop;
end
$$;

-- Tables whose triggers hand over under this name, which may have been theirs once.
create function memoria.followers(p_relation text) returns regclass[]
language sql stable set search_path = '' as $$
  select array(
    select distinct tgrelid::regclass from pg_trigger
    where tgfoid = 'memoria.follow_changes()'::regprocedure and not tgisinternal
      and convert_from(substring(tgargs for octet_length(tgargs) - 1), getdatabaseencoding()) = p_relation
  )
$$;

-- Locks a table. Where it was followed and renamed since, what is known under the name that its triggers tell goes
-- by the new one from now on, unless another table is followed under the old one.
create function memoria.follow_renamed(p_table regclass) returns void
language plpgsql set search_path = '' as $$
declare
  v_relation constant text := memoria.name_of(p_table);
  v_former constant text := (
    select convert_from(substring(tgargs for octet_length(tgargs) - 1), getdatabaseencoding()) from pg_trigger
    where tgrelid = p_table and tgfoid = 'memoria.follow_changes()'::regprocedure limit 1
  );
begin
  execute format('lock table %s in access exclusive mode', p_table);
  if v_former is null or v_former = v_relation or exists (
    select from pg_trigger
    where tgrelid = to_regclass(v_former) and tgfoid = 'memoria.follow_changes()'::regprocedure
  ) then
    return;
  end if;
  -- before their photos, as everyone does
  perform from memoria.events
  where id in (select event_id from memoria.media where source = v_former) order by id for no key update;
  delete from memoria.followed where relation = v_relation;
  delete from memoria.hand_overs where relation = v_relation and failed;
  update memoria.followed set relation = v_relation where relation = v_former;
  update memoria.hand_overs set relation = v_relation where relation = v_former;
  update memoria.media set source = v_relation where source = v_former;
end
$$;

-- Follows a table of the app: from now on, and every row that is there; photos of rows that are gone go. Called
-- again, it changes what is followed. Columns are named as they are in the table; the bucket is a constant or a column.
create function public.memoria_follow(
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
  v_relation text := memoria.name_of(p_table);
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
    raise exception '% has no column %.', v_relation, v_missing using errcode = '42703';
  elsif p_id is null or p_event is null or p_path is null then
    raise exception 'p_id, p_event and p_path name columns of the table.' using errcode = '22023';
  elsif (p_bucket is null) = (p_bucket_column is null) then
    raise exception 'Name the bucket, or the column that holds it.' using errcode = '22023';
  end if;
  perform memoria.follow_renamed(p_table);
  if memoria.followers(v_relation) <> '{}' and memoria.followers(v_relation) <> array[p_table] then
    -- else its photos would be taken for rows that are gone from this table
    raise exception 'Another table was followed as %: call memoria_follow or memoria_unfollow of that one first.', v_relation
      using errcode = '55000';
  end if;
  insert into memoria.followed (relation, columns) values (v_relation, v_columns)
  on conflict (relation) do update set columns = excluded.columns, broken = null;
  perform memoria.unfollow_triggers(p_table);
  perform memoria.follow_triggers(p_table, v_relation);
  delete from memoria.hand_overs where relation = v_relation and failed;
  v_count := memoria.hand_over_existing(p_table, v_relation, v_columns);
  perform memoria.remove_gone(p_table, v_relation, v_columns);
  return jsonb_build_object('table', v_relation, 'handed_over', v_count, 'failed', (
    select count(*) from memoria.hand_overs where relation = v_relation and failed
  ));
end
$$;

-- The table is no longer followed; the photos that it handed over stay.
create function public.memoria_unfollow(p_table regclass) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_relation text := memoria.name_of(p_table);
begin
  perform memoria.follow_renamed(p_table);
  perform memoria.unfollow_triggers(p_table);
  delete from memoria.followed where relation = v_relation;
  delete from memoria.hand_overs where relation = v_relation and failed;
  update memoria.media set source = null where source = v_relation;
  return jsonb_build_object('table', v_relation, 'followed', false);
end
$$;

-- 40_reading.sql

-- What screens show, in pages. Every page is keyed by where the one before it ended: give `next` back as
-- p_after until it is null. A page tells the version of what it shows; when that changes between two
-- pages, start again. What a page costs does not grow with the event.

create function memoria.page_limit(p_limit integer) returns integer
language sql immutable set search_path = '' as $$
  select least(greatest(coalesce(p_limit, 100), 1), 500)
$$;

create function memoria.version_of(p_event_id text) returns bigint
language sql stable set search_path = '' as $$
  select coalesce((select people_version + photos_version from memoria.events where id = p_event_id), 0)
$$;

create function memoria.people_version_of(p_event_id text) returns bigint
language sql stable set search_path = '' as $$
  select coalesce((select people_version from memoria.events where id = p_event_id), 0)
$$;

-- Enough of a face to draw it: its box, and where its photo lies.
create function memoria.face_cover(p_face_id uuid) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'face_id', faces.id, 'media_id', media.id, 'bucket', media.bucket, 'path', media.path,
    'preview_path', media.preview_path, 'bbox', memoria.face_box(faces),
    'width', media.width, 'height', media.height
  )
  from memoria.faces join memoria.media on media.id = faces.media_id
  where faces.id = p_face_id
$$;

create function memoria.person_item(p memoria.persons) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'person_id', p.id, 'name', p.name, 'hidden', p.hidden, 'nobody', p.nobody, 'cluster_label', p.cluster_label,
    'face_count', p.face_count, 'avg_quality', round(p.avg_quality::numeric, 4),
    'representative_face_id', p.representative_face_id,
    'cover', memoria.face_cover(p.representative_face_id), 'created_at', p.created_at
  )
$$;

create function memoria.photo_item(m memoria.media) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'media_id', m.id, 'bucket', m.bucket, 'path', m.path, 'preview_path', m.preview_path,
    'status', m.status, 'width', m.width, 'height', m.height, 'model', m.model, 'created_at', m.created_at,
    'error', case when m.status = 'failed'
      then jsonb_build_object('code', m.error_code, 'message', m.error_message) end
  )
$$;

create function memoria.face_item(f memoria.faces) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'face_id', f.id, 'bbox', memoria.face_box(f), 'quality_score', f.quality,
    'landmarks', memoria.named_landmarks(f.landmarks), 'person_id', f.person_id,
    'pinned', exists (
      select from memoria.corrections where face_id = f.id and kind = 'pin' and withdrawn_by is null
    )
  )
$$;

-- A photo with its faces: all of them, or those of some people.
create function memoria.photo_with_faces(m memoria.media, p_people uuid[] default null) returns jsonb
language sql stable set search_path = '' as $$
  select memoria.photo_item(m) || jsonb_build_object('faces', (
    select coalesce(jsonb_agg(memoria.face_item(faces) order by quality desc, faces.id), '[]')
    from memoria.faces
    where media_id = m.id and (p_people is null or person_id = any (p_people))
      and dismissed is distinct from 'no_face'
  ))
$$;

-- The people of an event, largest first; named ones also while they have no faces. p_name finds people
-- by the beginning of a word of their name, without case and accents.
create function public.memoria_people(
  p_event_id text,
  p_after jsonb default null,
  p_limit integer default 100,
  p_with_hidden boolean default false,
  p_name text default null
) returns jsonb
language plpgsql stable security definer
set search_path = ''
set statement_timeout = '30s'
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_limit integer := memoria.page_limit(p_limit);
  v_name text := nullif(memoria.name_key(p_name), '');
  v_after_count integer := coalesce(-(p_after ->> 'face_count')::integer, -2147483647);
  v_after_id uuid := coalesce(memoria.as_uuid(p_after ->> 'person_id'), '00000000-0000-0000-0000-000000000000');
  v_page uuid[];
begin
  perform memoria.authorize(p_event_id, 'view');
  if v_name is null then
    v_page := array(
      select id from (
        (
          select id, face_count from memoria.persons
          where event_id = p_event_id and not hidden
            and merged_into is null and (face_count > 0 or name is not null)
            and (-face_count, id) > (v_after_count, v_after_id)
          order by -face_count, id limit v_limit + 1
        )
        union all
        (
          select id, face_count from memoria.persons
          where event_id = p_event_id and hidden and p_with_hidden
            and merged_into is null and (face_count > 0 or name is not null)
            and (-face_count, id) > (v_after_count, v_after_id)
          order by -face_count, id limit v_limit + 1
        )
      ) as either
      order by -face_count, id limit v_limit + 1
    );
  else
    -- names are given by hand: an event has few
    v_page := array(
      select id from memoria.persons
      where event_id = p_event_id and name is not null and merged_into is null
        and (p_with_hidden or not hidden)
        and ' ' || name_key like '% ' || regexp_replace(v_name, '([\\%_])', '\\\1', 'g') || '%'
        and (-face_count, id) > (v_after_count, v_after_id)
      order by -face_count, id limit v_limit + 1
    );
  end if;
  return jsonb_build_object(
    'event_id', p_event_id, 'version', memoria.people_version_of(p_event_id),
    'people', (
      select coalesce(jsonb_agg(memoria.person_item(persons) order by -face_count, id), '[]')
      from memoria.persons where id = any (v_page[:v_limit])
    ),
    'next', case when cardinality(v_page) > v_limit then (
      select jsonb_build_object('face_count', face_count, 'person_id', id)
      from memoria.persons where id = v_page[v_limit]
    ) end
  );
end
$$;

-- A person's photos in the order in which they came, with the boxes of that person.
create function public.memoria_person_photos(
  p_person_id uuid, p_after jsonb default null, p_limit integer default 100
) returns jsonb
language plpgsql stable security definer
set search_path = ''
set statement_timeout = '30s'
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_limit integer := memoria.page_limit(p_limit);
  v_person memoria.persons;
  v_page text[];
begin
  select * into v_person from memoria.persons where id = memoria.root_of(p_person_id);
  perform memoria.authorize(v_person.event_id, 'view', 'person');
  if v_person.id is null then
    perform memoria.refuse_unknown('person');
  end if;
  v_page := array(
    select min(media_id) from memoria.faces
    where person_id = v_person.id and media_number > coalesce((p_after #>> '{}')::bigint, 0)
    group by media_number order by media_number limit v_limit + 1
  );
  return memoria.person_item(v_person) || jsonb_build_object(
    'event_id', v_person.event_id, 'version', memoria.people_version_of(v_person.event_id),
    -- the id that was asked for was merged away
    'is_now', case when v_person.id <> p_person_id then v_person.id end,
    'photos', (
      select coalesce(jsonb_agg(memoria.photo_with_faces(media, array[v_person.id]) order by number), '[]')
      from memoria.media where id = any (v_page[:v_limit])
    ),
    'next', case when cardinality(v_page) > v_limit then (
      select number from memoria.media where id = v_page[v_limit]
    ) end
  );
end
$$;

-- The numbers of photos that show all of these people: each is asked in turn for its next photo, from
-- the furthest that another one named on. A page may be short where few photos show them together.
create function memoria.photos_of_all(
  p_people uuid[], p_after bigint, p_limit integer, out numbers bigint[], out go_on bigint
)
language plpgsql stable set search_path = '' as $$
declare
  v_at bigint := p_after + 1;
  v_next bigint;
  v_agreed integer := 0;
  v_asked integer := 0;
begin
  numbers := '{}';
  while cardinality(numbers) < p_limit and v_asked < 10 * p_limit + 100 loop
    select media_number into v_next from memoria.faces
    where person_id = p_people[v_asked % cardinality(p_people) + 1] and media_number >= v_at
    order by media_number limit 1;
    if not found then
      return;
    end if;
    v_asked := v_asked + 1;
    v_agreed := case when v_next = v_at then v_agreed + 1 else 1 end;
    v_at := v_next;
    if v_agreed >= cardinality(p_people) then
      numbers := numbers || v_at;
      v_at := v_at + 1;
      v_agreed := 0;
    end if;
  end loop;
  go_on := v_at - 1;
end
$$;

create function memoria.photos_of_any(
  p_people uuid[], p_after bigint, p_limit integer, out numbers bigint[], out go_on bigint
)
language plpgsql stable set search_path = '' as $$
begin
  numbers := array(
    select distinct media_number from unnest(p_people) as person (id), lateral (
      select media_number from memoria.faces
      where person_id = person.id and media_number > p_after
      group by media_number order by media_number limit p_limit + 1
    ) as theirs
    order by media_number limit p_limit + 1
  );
  if cardinality(numbers) > p_limit then
    numbers := numbers[:p_limit];
    go_on := numbers[p_limit];
  end if;
end
$$;

-- The photos that show these people: all of them together, or any of them.
create function public.memoria_photos_with(
  p_event_id text,
  p_people uuid[],
  p_match text default 'all',
  p_after jsonb default null,
  p_limit integer default 100
) returns jsonb
language plpgsql stable security definer
set search_path = ''
set statement_timeout = '30s'
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_limit integer := memoria.page_limit(p_limit);
  v_after bigint := coalesce((p_after #>> '{}')::bigint, 0);
  v_people uuid[];
  v_page record;
begin
  perform memoria.authorize(p_event_id, 'view');
  if coalesce(cardinality(p_people), 0) not between 1 and 50 then
    raise exception 'p_people names 1 to 50 people.' using errcode = '22023';
  elsif p_match is null or p_match not in ('all', 'any') then
    raise exception 'p_match is all or any.' using errcode = '22023';
  end if;
  if exists (
    select from unnest(p_people) as wanted (id)
    where not exists (select from memoria.persons where persons.id = wanted.id and event_id = p_event_id)
  ) then
    perform memoria.refuse_unknown('person');
  end if;
  v_people := array(select distinct memoria.root_of(id) from unnest(p_people) as wanted (id));
  if p_match = 'all' then
    select * into v_page from memoria.photos_of_all(v_people, v_after, v_limit);
  else
    select * into v_page from memoria.photos_of_any(v_people, v_after, v_limit);
  end if;
  return jsonb_build_object(
    'event_id', p_event_id, 'version', memoria.people_version_of(p_event_id),
    'photos', (
      select coalesce(jsonb_agg(memoria.photo_with_faces(found.media, v_people) order by wanted.number), '[]')
      -- each by its key: PostgreSQL 16 reads the whole event to have them in order
      from unnest(v_page.numbers) as wanted (number), lateral (
        select media from memoria.media where event_id = p_event_id and media.number = wanted.number offset 0
      ) as found
    ),
    'next', v_page.go_on
  );
end
$$;

-- One photo with everybody in it.
create function public.memoria_photo(p_media_id text) returns jsonb
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
        'person_id', id, 'name', name, 'hidden', hidden, 'face_count', face_count
      ) order by face_count desc, id), '[]')
      from memoria.persons
      where id in (select person_id from memoria.faces where media_id = p_media_id)
    )
  );
end
$$;

-- The photos of an event in the order in which they came, with their faces; no vectors.
create function public.memoria_media(
  p_event_id text, p_after jsonb default null, p_limit integer default 100, p_status text default null
) returns jsonb
language plpgsql stable security definer
set search_path = ''
set statement_timeout = '30s'
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_limit integer := memoria.page_limit(p_limit);
  v_after bigint := coalesce((p_after #>> '{}')::bigint, 0);
  v_page memoria.media[];
begin
  perform memoria.authorize(p_event_id, 'view');
  if p_status is null then
    v_page := array(
      select media from memoria.media
      where event_id = p_event_id and number > v_after order by number limit v_limit + 1
    );
  elsif p_status in ('pending', 'completed', 'failed') then
    v_page := array(
      select media from memoria.media
      where event_id = p_event_id and status = p_status and number > v_after order by number limit v_limit + 1
    );
  else
    raise exception 'p_status is pending, completed or failed.' using errcode = '22023';
  end if;
  return jsonb_build_object(
    'event_id', p_event_id, 'version', memoria.version_of(p_event_id),
    'media', (
      select coalesce(jsonb_agg(memoria.photo_with_faces(v_page[n]) order by n), '[]')
      from generate_series(1, least(cardinality(v_page), v_limit)) as n
    ),
    'next', case when cardinality(v_page) > v_limit then v_page[v_limit].number end
  );
end
$$;

-- The faces that are nobody's, in the order of their photos.
create function public.memoria_unassigned_faces(
  p_event_id text, p_after jsonb default null, p_limit integer default 100
) returns jsonb
language plpgsql stable security definer
set search_path = ''
set statement_timeout = '30s'
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_limit integer := memoria.page_limit(p_limit);
  v_after bigint := coalesce((p_after ->> 'number')::bigint, 0);
  v_after_id uuid := coalesce(memoria.as_uuid(p_after ->> 'face_id'), '00000000-0000-0000-0000-000000000000');
  v_page uuid[];
begin
  perform memoria.authorize(p_event_id, 'view');
  v_page := array(
    select id from memoria.faces
    where event_id = p_event_id and person_id is null and dismissed is null
      and (media_number, id) > (v_after, v_after_id)
    order by media_number, id limit v_limit + 1
  );
  return jsonb_build_object(
    'event_id', p_event_id, 'version', memoria.version_of(p_event_id),
    'faces', (
      select coalesce(jsonb_agg(
        memoria.face_cover(face.id) || jsonb_build_object('quality_score', quality) order by media_number, face.id
      ), '[]')
      -- each by its key: PostgreSQL 16 reads the loose faces of all events to have them in order
      from unnest(v_page[:v_limit]) as wanted (id), lateral (
        select * from memoria.faces where id = wanted.id offset 0
      ) as face
    ),
    'next', case when cardinality(v_page) > v_limit then (
      select jsonb_build_object('number', media_number, 'face_id', id)
      from memoria.faces where id = v_page[v_limit]
    ) end
  );
end
$$;

-- 41_corrections.sql

-- What users say of people and faces, and what every such function begins and ends with. Each locks the
-- event, so that it never interleaves with a run's saving, and acts on the person that users see: the root
-- of whatever was merged.

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

-- Of the covers that were chosen for these people one is kept; none is withdrawn where none is named.
create function memoria.withdraw_covers(inout c memoria.changes, p_people uuid[], p_kept bigint)
language plpgsql set search_path = '' as $$
begin
  with withdrawn as (
    update memoria.corrections set withdrawn_by = c.id
    where kind = 'cover' and withdrawn_by is null and event_id = c.event_id
      and memoria.root_of(person_id) = any (p_people) and id <> p_kept
    returning id
  )
  select c.withdrew || array(select id from withdrawn) into c.withdrew;
end
$$;

-- 41_corrections_faces.sql

-- Whose a face is: this person's, a new one's, not this person's, nobody's.

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

-- Takes at most 1,000 faces out of a person: they become a new one, and never go back.
create function public.memoria_split_person(p_person_id uuid, p_face_ids uuid[]) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_person memoria.persons := memoria.lock_person(p_person_id);
  c memoria.changes;
begin
  perform memoria.check_faces(v_person.event_id, p_face_ids);
  if exists (
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

-- 41_corrections_merge.sql

-- Who is one person, and who is not.

-- The chosen cover of one is the first that somebody has, in the order in which they are named.
create function memoria.keep_first_cover(inout c memoria.changes, p_people uuid[])
language plpgsql set search_path = '' as $$
begin
  c := memoria.withdraw_covers(c, p_people, (
    select id from memoria.corrections
    where kind = 'cover' and withdrawn_by is null and event_id = c.event_id
      and memoria.root_of(person_id) = any (p_people)
    order by array_position(p_people, memoria.root_of(person_id)), id desc limit 1
  ));
end
$$;

-- Likewise the name.
create function memoria.keep_first_name(inout c memoria.changes, p_into uuid, p_from uuid[])
language plpgsql set search_path = '' as $$
declare
  v_all uuid[] := p_into || p_from;
begin
  c := memoria.set_value(c, 'name/' || p_into, (
    select to_jsonb(name) from memoria.persons where id = any (v_all) and name is not null
    order by array_position(v_all, id) limit 1
  ));
  if c.after ? ('name/' || p_into) then
    c.relies_on := c.relies_on || array(select 'name/' || person from unnest(p_from) as person);
  end if;
end
$$;

-- Who was told apart is one now: the last word counts.
create function memoria.no_longer_apart(inout c memoria.changes, p_people uuid[])
language plpgsql set search_path = '' as $$
begin
  c := memoria.set_value_of_all(c, array(
    select 'apart/' || one_id || '/' || other_id from memoria.distinct_people
    where event_id = c.event_id
      and memoria.root_of(one_id) = any (p_people) and memoria.root_of(other_id) = any (p_people)
  ), 'false');
end
$$;

-- "Not this person", said of a face of one of these people to another of them, counts no more. A pin
-- counts for its face also while no model finds that face.
create function memoria.withdraw_rejections(inout c memoria.changes, p_people uuid[])
language plpgsql set search_path = '' as $$
begin
  with withdrawn as (
    update memoria.corrections as said set withdrawn_by = c.id
    where said.kind = 'reject' and said.withdrawn_by is null and said.event_id = c.event_id
      and memoria.root_of(said.person_id) = any (p_people) and (
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
create function memoria.merge(inout c memoria.changes, p_into uuid, p_from uuid[])
language plpgsql set search_path = '' as $$
declare
  v_all uuid[] := p_into || p_from;
begin
  c := memoria.withdraw_rejections(c, v_all);
  c := memoria.keep_first_cover(c, v_all);
  for i in 1 .. cardinality(p_from) loop
    c := (
      select memoria.set_value_of_all(c, array_agg('merged/' || id order by id), to_jsonb(p_into))
      from memoria.persons where p_from[i] in (id, merged_into)
    );
  end loop;
  c := memoria.keep_first_name(c, p_into, p_from);
  c := memoria.no_longer_apart(c, v_all);
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

-- 41_corrections_people.sql

-- How a person is shown: name, whether at all, by which face.

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
  c := memoria.withdraw_covers(c, array[v_person.id], c.held[1]);
  c := memoria.rests_on_people(c, array[v_person.id], true);
  c.touches := c.touches || ('cover/' || v_person.id);
  return jsonb_build_object(
    'person_id', v_person.id, 'face_id', p_face_id, 'change_id', memoria.finish_change(c)
  );
end
$$;

-- 42_forgetting.sql

-- Forgetting a person: vectors, links, name and history go at once, and everything that was derived from
-- them. What stays is where not to look again, so that no photo of the same picture brings the face back.

-- What users said of faces and people that are going, with every change that tells of it: what is
-- forgotten cannot be brought back by an undo, and history names nobody. The event is locked.
create function memoria.purge_changes(p_event_id text, p_people uuid[], p_face_ids uuid[]) returns void
language plpgsql set search_path = '' as $$
declare
  v_said bigint[];
begin
  with gone as (
    delete from memoria.corrections where face_id = any (p_face_ids) or person_id = any (p_people)
    returning id
  )
  select array(select id from gone) into v_said;
  delete from memoria.changes
  where event_id = p_event_id and (
    id in (select change_id from memoria.change_people where person_id = any (p_people))
    or (
      cardinality(held || withdrew) > 0 and held || withdrew <@ v_said
      -- who was merged with whom of the others stays, and can be taken back
      and not exists (select from jsonb_object_keys(after) as key where key like 'merged/%')
    )
  );
  delete from memoria.suggestions
  where event_id = p_event_id and (people && p_people or face_id = any (p_face_ids) or exists (
    select from jsonb_array_elements(evidence) as shown
    where (shown ->> 'face_id')::uuid = any (p_face_ids) or (shown ->> 'other_face_id')::uuid = any (p_face_ids)
  ));
  perform memoria.count_suggestions(p_event_id);
  update memoria.corrections set was = null where event_id = p_event_id and was = any (p_people);
end
$$;

-- What was made of faces and people that are gone. Whatever keeps more of them (audits, outcomes) is
-- purged here, too. The event is locked.
create function memoria.purge_derived(p_event_id text, p_people uuid[], p_face_ids uuid[], p_media_ids text[])
returns void
language plpgsql set search_path = '' as $$
begin
  update memoria.searches set
    people = array(select person from unnest(people) as person where person <> all (p_people)),
    loose_faces = array(select face from unnest(loose_faces) as face where face <> all (p_face_ids))
  where event_id = p_event_id and (people && p_people or loose_faces && p_face_ids);
  -- outcomes that the app was not told yet
  update memoria.jobs set payload = payload || jsonb_build_object(
    'faces_detected', (select count(*) from memoria.faces where media_id = jobs.media_id and detected),
    'faces', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'bbox', memoria.face_box(faces), 'quality_score', quality,
        'landmarks', memoria.named_landmarks(landmarks)
      ) order by created_at, id), '[]')
      from memoria.faces where media_id = jobs.media_id and detected
    )
  )
  where event_id = p_event_id and kind = 'callback' and media_id = any (p_media_ids)
    and payload ->> 'status' = 'completed';
  update memoria.jobs set payload = payload || memoria.people_summary(p_event_id)
  where event_id = p_event_id and kind = 'callback' and media_id is null
    and payload ->> 'status' = 'completed';
  -- a mean over the forgotten and the others would give the forgotten away
  update memoria.persons set centroid = null, centroid_faces = null, mean_length = null
  where event_id = p_event_id and centroid is not null
    and not exists (select from memoria.faces where identity_id = persons.id);
  perform memoria.refresh_centroids(memoria.people_of_event(p_event_id));
end
$$;

-- The same faces on copies of their photos, byte for byte, whosever they are there. Each is looked up by its key:
-- without statistics a join compares all photos with all.
create function memoria.faces_on_copies(p_event_id text, p_face_ids uuid[]) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select distinct copied.id
    from memoria.faces as face
    join memoria.media as shown on shown.id = face.media_id
    cross join lateral (
      select id from memoria.media
      where event_id = p_event_id and digest = shown.digest and id <> shown.id offset 0
    ) as copy
    cross join lateral (select * from memoria.faces where media_id = copy.id offset 0) as copied
    where face.id = any (p_face_ids) and copied.id <> all (p_face_ids) and memoria.iou(
      face.x, face.y, face.w, face.h, copied.x, copied.y, copied.w, copied.h
    ) >= 0.5
  )
$$;

create function public.memoria_forget_person(p_person_id uuid) returns jsonb
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
  v_people := array(
    select id from memoria.persons where v_person.id in (id, merged_into)
  );
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
    select media_id, count(*) as faces from memoria.faces where id = any (v_faces) group by media_id
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

-- 43_drawn.sql

-- Faces that users draw, where no model found one. The box is kept as a correction, so that it survives
-- re-processing, archiving and a change of model; *process* reads the face in it where it can.

-- How many boxes of one photo may hold: a worker looks at each twelve times.
create function memoria.most_drawn() returns integer
language sql immutable set search_path = '' as $$
  select 50
$$;

-- Looks at a photo once more, which stays done meanwhile.
create function memoria.read_again(p_media_id text) returns void
language sql set search_path = '' as $$
  insert into memoria.jobs (kind, event_id, media_id, max_attempts)
  select 'process', media.event_id, media.id, (select memoria.setting_of('max_attempts', 'process'))
  from memoria.media join memoria.events on events.id = media.event_id
  where media.id = p_media_id and media.status = 'completed' and events.status = 'open'
  on conflict do nothing
$$;

-- Faces appear where a change made a drawn box hold, and go where it withdrew it and no model found one.
-- Raises 409 where that is a photo's 51st.
create function memoria.draw_faces(c memoria.changes) returns void
language plpgsql set search_path = '' as $$
declare
  v_drawn record;
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

-- A box as users draw it: {"x", "y", "w", "h"}, fractions. Raises 400.
create function memoria.check_box(p_bbox jsonb) returns void
language plpgsql immutable set search_path = '' as $$
begin
  if jsonb_typeof(p_bbox) is distinct from 'object' or exists (
    select from unnest(array['x', 'y', 'w', 'h']) as side
    where jsonb_typeof(p_bbox -> side) is distinct from 'number'
      or (p_bbox ->> side)::double precision not between 0 and 1
  ) or (p_bbox ->> 'w')::double precision < 0.001 or (p_bbox ->> 'h')::double precision < 0.001
    or (p_bbox ->> 'x')::double precision + (p_bbox ->> 'w')::double precision > 1.001
    or (p_bbox ->> 'y')::double precision + (p_bbox ->> 'h')::double precision > 1.001 then
    raise exception 'p_bbox is {"x", "y", "w", "h"}: fractions of the photo, within it.' using errcode = '22023';
  end if;
end
$$;

-- Of these faces and tombstones, the id of the one that a box is, or null; is_forgotten for a tombstone.
create function memoria.face_at(
  p_media memoria.media, p_bbox jsonb, out face_id uuid, out is_forgotten boolean
)
language sql stable set search_path = '' as $$
  select known.id, known.id is null
  from (
    select id, x, y, w, h from memoria.faces where media_id = p_media.id
    union all
    select null, x, y, w, h from memoria.forgotten_faces
    where event_id = p_media.event_id and picture = any (memoria.pictures_of(p_media.id, p_media.digest))
  ) as known, lateral (
    select memoria.iou(
      (p_bbox ->> 'x')::double precision, (p_bbox ->> 'y')::double precision,
      (p_bbox ->> 'w')::double precision, (p_bbox ->> 'h')::double precision, known.x, known.y, known.w, known.h
    ) as overlap
  ) as compared
  where overlap >= 0.5 order by overlap desc limit 1
$$;

-- A face that a user drew, and whose it is. Where a face is known already it is that one.
create function public.memoria_add_face(p_media_id text, p_bbox jsonb, p_person uuid default null) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_media memoria.media;
  v_known record;
  v_person uuid;
  v_face uuid;
  c memoria.changes;
begin
  perform memoria.lock_open_event((select event_id from memoria.media where id = p_media_id), 'manage', 'photo');
  select * into v_media from memoria.media where id = p_media_id;
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

-- 43_suggestions.sql

-- Questions to users, made by runs (memoria.people.suggestions), asked one page at a time, answered in one
-- tap. What users said since decides which are still to be asked.

create function memoria.suggestion_id(p_event_id text, p_kind text, p_about text) returns uuid
language sql immutable set search_path = '' as $$
  select encode(substring(sha256(convert_to(
    concat_ws('|', p_event_id, p_kind, p_about), 'UTF8'
  )) from 1 for 16), 'hex')::uuid
$$;

-- The ids that are this person.
create function memoria.ids_of(p_person_id uuid) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select p_person_id union all select id from memoria.persons where merged_into = p_person_id
  )
$$;

-- Whether a user said that these two are not one: told them apart, or took a face of one from the other.
create function memoria.are_denied(p_one uuid, p_other uuid) returns boolean
language sql stable set search_path = '' as $$
  with ids as (select memoria.ids_of(p_one) as one, memoria.ids_of(p_other) as other)
  select exists (
    select from ids, memoria.distinct_people as apart
    where (apart.one_id = any (one) and apart.other_id = any (other))
      or (apart.one_id = any (other) and apart.other_id = any (one))
  ) or exists (
    select from ids, memoria.corrections as said join memoria.faces on faces.id = said.face_id
    where said.kind = 'reject' and said.withdrawn_by is null and (
      (said.person_id = any (one) and faces.person_id = p_other)
      or (said.person_id = any (other) and faces.person_id = p_one)
    )
  )
$$;

-- Whether two people may be asked about: neither hidden, merged or without faces, no two different names.
create function memoria.may_be_one(p_one uuid, p_other uuid) returns boolean
language sql stable set search_path = '' as $$
  select exists (
    select from memoria.persons as one, memoria.persons as other
    where one.id = p_one and other.id = p_other
      and one.merged_into is null and other.merged_into is null
      and not one.hidden and not other.hidden and one.face_count > 0 and other.face_count > 0
      and (one.name is null or other.name is null or one.name_key = other.name_key)
  ) and not memoria.are_denied(p_one, p_other)
$$;

-- Of the candidates for a face, those whom it may be, likeliest first: {"person_id", "name", "likelihood"}.
create function memoria.candidates_of(s memoria.suggestions) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'person_id', persons.id, 'name', persons.name, 'likelihood', likelihood
  ) order by likelihood desc, persons.id), '[]')
  from jsonb_to_recordset(s.candidates) as candidate (person_id uuid, likelihood real)
  join memoria.persons on persons.id = candidate.person_id
  where merged_into is null and not hidden and face_count > 0 and not exists (
    select from memoria.corrections as said
    where said.face_id = s.face_id and said.kind = 'reject' and said.withdrawn_by is null
      and memoria.root_of(said.person_id) = persons.id
  )
$$;

-- How many faces the people of a question have, for its sleep.
create function memoria.faces_asked_about(s memoria.suggestions) returns integer[]
language sql stable set search_path = '' as $$
  select array(
    select coalesce(face_count, 0) from unnest(s.people) with ordinality as asked (id, n)
    left join memoria.persons using (id) order by n
  )
$$;

-- Whether a question is to be asked, by all that users said.
create function memoria.stands(s memoria.suggestions) returns boolean
language sql stable set search_path = '' as $$
  select (s.answer is null or (s.answer = 'not_sure' and exists (
      select from unnest(memoria.faces_asked_about(s), s.asleep_at) as faces (today, asleep)
      where faces.today >= faces.asleep + 3
    )))
    and case s.kind
      when 'same_person' then memoria.may_be_one(s.one_id, s.other_id)
      else exists (
        select from memoria.faces where id = s.face_id and person_id is null and dismissed is null
      ) and memoria.candidates_of(s) <> '[]'
    end
$$;

-- How many are to be asked, kept beside the event so that a list need not count.
create function memoria.count_suggestions(p_event_id text) returns void
language sql set search_path = '' as $$
  update memoria.events set open_suggestions = (
    select jsonb_build_object(
      'same_person', count(*) filter (where kind = 'same_person'),
      'who_is_this', count(*) filter (where kind = 'who_is_this')
    )
    from memoria.suggestions where event_id = p_event_id and open
  )
  where id = p_event_id
$$;

-- Looks at the questions about these people and faces again; the event is locked.
create function memoria.review_suggestions(p_event_id text, p_people uuid[], p_face_ids uuid[]) returns void
language plpgsql set search_path = '' as $$
begin
  if exists (select from memoria.suggestions where event_id = p_event_id) then
    update memoria.suggestions as asked set open = memoria.stands(asked)
    where event_id = p_event_id and (people && p_people or face_id = any (p_face_ids))
      and open <> memoria.stands(asked);
    perform memoria.count_suggestions(p_event_id);
  end if;
end
$$;

-- The questions of a run, in place of those before it. Of who was made a stranger meanwhile there are none.
create function memoria.store_suggestions(p_event_id text, p_suggestions jsonb) returns void
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
      from jsonb_array_elements(candidates) with ordinality as item (candidate, n) order by n
    ) end,
    likelihood, weight, coalesce(photos_together, 0), coalesce(evidence, '[]'), coalesce(candidates, '[]')
  from (
    select asked.* from jsonb_to_recordset(p_suggestions) as asked (
      kind text, one_id uuid, other_id uuid, face_id uuid, likelihood real, weight real,
      photos_together integer, evidence jsonb, candidates jsonb
    )
    order by weight desc limit 500
  ) as asked
  where (face_id is null or exists (
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

-- Whether a user ever said anything of a person.
create function memoria.is_touched(p memoria.persons) returns boolean
language sql stable set search_path = '' as $$
  select p.name is not null
    or exists (select from memoria.persons where merged_into = p.id)
    or exists (select from memoria.corrections where person_id = p.id and withdrawn_by is null)
$$;

-- Two people as a merge would have them: the named, the touched, the larger, the older first.
create function memoria.into_first(p_one uuid, p_other uuid) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select id from memoria.persons where id in (p_one, p_other)
    order by name is null, not memoria.is_touched(persons), face_count desc, created_at, id
  )
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

-- Evidence names faces of one_id first; turned where the other one goes first.
create function memoria.suggestion_item(s memoria.suggestions) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('id', s.id, 'kind', s.kind, 'likelihood', round(s.likelihood::numeric, 3)) || case s.kind
    when 'same_person' then (
      select jsonb_build_object(
        'into', (select memoria.person_item(persons) from memoria.persons where id = pair[1]),
        'from', (select memoria.person_item(persons) from memoria.persons where id = pair[2]),
        'photos_together', s.photos_together,
        'evidence', (
          select coalesce(jsonb_agg(item order by n) filter (where item is not null), '[]')
          from jsonb_array_elements(s.evidence) with ordinality as shown (body, n),
            lateral (select memoria.evidence_item(case when pair[1] = s.one_id then body else body || jsonb_build_object(
              'face_id', body -> 'other_face_id', 'other_face_id', body -> 'face_id'
            ) end) as item) as made
        )
      )
      from memoria.into_first(s.one_id, s.other_id) as pair
    )
    else jsonb_build_object('face', memoria.face_cover(s.face_id), 'candidates', memoria.candidates_of(s))
  end
$$;

create function public.memoria_suggestions(
  p_event_id text, p_kind text default null, p_person_id uuid default null, p_limit integer default 20
) returns jsonb
language plpgsql stable security definer
set search_path = ''
set statement_timeout = '30s'
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_limit integer := memoria.page_limit(coalesce(p_limit, 20));
  v_person uuid;
  v_page uuid[];
  v_total bigint;
begin
  perform memoria.authorize(p_event_id, 'manage');
  if p_kind is not null and p_kind not in ('same_person', 'who_is_this') then
    raise exception 'p_kind is same_person or who_is_this.' using errcode = '22023';
  end if;
  if p_person_id is null then
    v_page := array(
      select id from (
        (
          select id, weight from memoria.suggestions
          where event_id = p_event_id and kind = 'same_person' and open and p_kind is distinct from 'who_is_this'
          order by -weight, id limit v_limit
        )
        union all
        (
          select id, weight from memoria.suggestions
          where event_id = p_event_id and kind = 'who_is_this' and open and p_kind is distinct from 'same_person'
          order by -weight, id limit v_limit
        )
      ) as either
      order by -weight, id limit v_limit
    );
    v_total := (
      select sum(value::bigint) from memoria.events, jsonb_each_text(open_suggestions)
      where id = p_event_id and key = coalesce(p_kind, key)
    );
  else
    v_person := (
      select memoria.root_of(id) from memoria.persons where id = p_person_id and event_id = p_event_id
    );
    if v_person is null then
      perform memoria.refuse_unknown('person');
    end if;
    -- at most 500 rows, of which few are this person's
    v_page := array(
      select id from memoria.suggestions
      where event_id = p_event_id and open and v_person = any (people) and kind = coalesce(p_kind, kind)
      order by -weight, id
    );
    v_total := cardinality(v_page);
    v_page := v_page[:v_limit];
  end if;
  return jsonb_build_object(
    'event_id', p_event_id, 'total', coalesce(v_total, 0),
    'suggestions', (
      select coalesce(jsonb_agg(memoria.suggestion_item(suggestions) order by -weight, id), '[]')
      from memoria.suggestions where id = any (v_page)
    )
  );
end
$$;

create function memoria.refuse_suggestion() returns void
language plpgsql stable set search_path = '' as $$
begin
  raise exception 'There is no such suggestion (any more).'
    using errcode = 'PT404', detail = '{"code": "suggestion_gone"}';
end
$$;

-- What an answer says of two people.
create function memoria.answer_same_person(inout c memoria.changes, s memoria.suggestions, p_answer text)
language plpgsql set search_path = '' as $$
declare
  v_pair uuid[] := memoria.into_first(s.one_id, s.other_id);
begin
  c.person_id := v_pair[1];
  c.other_person_id := v_pair[2];
  if p_answer = 'same' then
    c.kind := 'merged';
    c := memoria.merge(c, v_pair[1], v_pair[2:2]);
  elsif p_answer = 'different' then
    c.kind := 'told_apart';
    c := memoria.tell_apart(c, v_pair[1], v_pair[2]);
  elsif p_answer = 'nobody' then
    -- the smaller, unnamed side is a statue or a poster: kept, so that its photos go nowhere else
    c.kind := 'nobody';
    c.person_id := v_pair[2];
    c.other_person_id := null;
    c := memoria.set_value(c, 'nobody/' || v_pair[2], 'true');
    c := memoria.set_value(c, 'hidden/' || v_pair[2], 'true');
    c := memoria.rests_on_people(c, v_pair[2:2]);
  end if;
end
$$;

-- What an answer says of a face: it is the candidate's that is named, or the likeliest; none of theirs; nobody's.
create function memoria.answer_who_is_this(
  inout c memoria.changes, s memoria.suggestions, p_answer text, p_person_id uuid
)
language plpgsql set search_path = '' as $$
declare
  v_candidate uuid;
begin
  c.faces := 1;
  if p_answer = 'same' then
    c.kind := 'assigned';
    c.person_id := p_person_id;
    c := memoria.give_faces(c, array[s.face_id], p_person_id);
  elsif p_answer = 'different' then
    c.kind := 'rejected';
    for v_candidate in
      select (item ->> 'person_id')::uuid from jsonb_array_elements(memoria.candidates_of(s)) as item
    loop
      c.person_id := coalesce(c.person_id, v_candidate);
      c := memoria.reject_faces(c, array[s.face_id], v_candidate);
    end loop;
  elsif p_answer = 'nobody' then
    c.kind := 'nobody';
    c := memoria.say(c, 'nobody', array[s.face_id]);
  end if;
end
$$;

create function public.memoria_answer_suggestion(p_id uuid, p_answer text, p_person_id uuid default null)
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_event text := (select event_id from memoria.suggestions where id = p_id);
  s memoria.suggestions;
  v_person uuid;
  c memoria.changes;
begin
  if p_answer is null or p_answer not in ('same', 'different', 'not_sure', 'nobody') then
    raise exception 'p_answer is same, different, not_sure or nobody.' using errcode = '22023';
  elsif v_event is null or not memoria.may(v_event, 'manage') then
    perform memoria.refuse_suggestion();
  end if;
  perform memoria.lock_open_event(v_event, 'manage', 'suggestion');
  select * into s from memoria.suggestions where id = p_id;
  if not found or (not memoria.stands(s) and s.answer is distinct from p_answer) then
    perform memoria.refuse_suggestion();
  end if;
  if memoria.stands(s) then
    if s.kind = 'who_is_this' and p_answer = 'same' then
      select (item ->> 'person_id')::uuid into v_person
      from jsonb_array_elements(memoria.candidates_of(s)) with ordinality as candidate (item, n)
      where p_person_id is null or (item ->> 'person_id')::uuid = memoria.root_of(p_person_id)
      order by n limit 1;
      if v_person is null then
        raise exception 'p_person_id is none of the candidates.' using errcode = '22023';
      end if;
    end if;
    c := memoria.begin_change(v_event, 'not_sure');
    if s.kind = 'same_person' then
      c := memoria.answer_same_person(c, s, p_answer);
    else
      c := memoria.answer_who_is_this(c, s, p_answer, v_person);
    end if;
    -- one who was asked again after a sleep and is not sure again sleeps again
    update memoria.suggestions set answer = null, asleep_at = null where id = p_id and answer = 'not_sure';
    c := memoria.set_value(c, 'answer/' || p_id, to_jsonb(p_answer));
    s.answered_by := memoria.finish_change(c);
  end if;
  return jsonb_build_object('id', p_id, 'answer', p_answer, 'change_id', s.answered_by);
end
$$;

-- 43_undo.sql

-- Taking a change back. Undoing is a change of its own with everything turned round, so it can be taken
-- back too. It is refused while a later change rests on what it would take away.

-- Of the parameters of the issue: how long a change can be taken back.
create function memoria.undo_days() returns integer
language sql immutable set search_path = '' as $$
  select 90
$$;

-- The faces that a change is about, found or not.
create function memoria.faces_of_change(c memoria.changes) returns uuid[]
language sql stable set search_path = '' as $$
  select array(
    select distinct face_id from memoria.corrections
    where id = any (c.held || c.withdrew) and face_id is not null
  )
$$;

-- Later changes that rest on this one: they change or take for granted what it changed, or are about one
-- of its faces. One counts if it holds now and did not when this one was made, or the other way round.
create function memoria.resting_on(c memoria.changes) returns setof memoria.changes
language sql stable set search_path = '' as $$
  select later.* from memoria.changes as later
  where later.event_id = c.event_id and later.id > c.id and later.job_id is null and later.undone_by is null
    and later.applies <> coalesce((
      select earlier.applies from memoria.changes as earlier
      where earlier.root_id = later.root_id and earlier.id <= c.id order by earlier.id desc limit 1
    ), false)
    and (
      later.touches && c.touches
      or (later.applies and later.relies_on && c.touches)
      or exists (
        select from memoria.corrections as theirs join memoria.corrections as ours using (face_id)
        where theirs.id = any (later.held || later.withdrew) and ours.id = any (c.held || c.withdrew)
      )
      or exists (select from memoria.corrections where id = any (c.held) and withdrawn_by = later.id)
    )
  order by later.id
$$;

-- Raises 409 where a change cannot be taken back. The event is locked.
create function memoria.check_undo(c memoria.changes) returns void
language plpgsql stable set search_path = '' as $$
declare
  v_resting jsonb;
  v_text text;
begin
  if c.job_id is not null then
    raise exception 'A run did this, no user: there is nothing to take back.' using errcode = 'PT409';
  elsif c.before is null or c.created_at < now() - make_interval(days => memoria.undo_days()) then
    raise exception 'A change can be taken back for % days.', memoria.undo_days() using errcode = 'PT409';
  end if;
  select jsonb_agg(jsonb_build_object('change_id', id, 'kind', kind)),
    string_agg(id || ' (' || kind || ')', ', ') into v_resting, v_text
  from memoria.resting_on(c);
  if v_resting is not null then
    raise exception 'Later changes rest on this one: %. Take them back first.', v_text
      using errcode = 'PT409', detail = jsonb_build_object('rest_on_it', v_resting)::text;
  elsif cardinality(c.held || c.withdrew) > 0 and not exists (
    select from jsonb_object_keys(c.after) as key where key not like 'shown/%'
  ) and not exists (
    select from memoria.corrections where id = any (c.held || c.withdrew)
  ) then
    raise exception 'The photo is gone.' using errcode = 'PT409';
  end if;
end
$$;

create function public.memoria_undo(p_change_id bigint) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  c memoria.changes;
  u memoria.changes;
begin
  perform memoria.lock_open_event(
    (select event_id from memoria.changes where id = p_change_id), 'manage', 'change'
  );
  select * into c from memoria.changes where id = p_change_id;
  if not found or c.kind = 'forgotten' then
    perform memoria.refuse_unknown('change');
  elsif c.undone_by is null then
    perform memoria.check_undo(c);
    u := memoria.begin_change(c.event_id, 'undone', c.person_id, c.other_person_id);
    u.undoes := c.id;
    u.root_id := c.root_id;
    u.applies := not c.applies;
    u.faces := c.faces;
    u.before := c.after;
    u.after := c.before;
    u.held := c.withdrew;
    u.withdrew := c.held;
    u.touches := c.touches;
    u.relies_on := c.relies_on;
    update memoria.corrections set withdrawn_by = u.id where id = any (u.withdrew);
    update memoria.corrections set withdrawn_by = null where id = any (u.held);
    update memoria.changes set undone_by = u.id where id = c.id;
    c.undone_by := memoria.finish_change(u);
  end if;
  return jsonb_build_object('undone', c.id, 'kind', c.kind, 'change_id', c.undone_by);
end
$$;

-- What is too old to be taken back keeps no more than history tells; the sweeper calls this. As everyone who
-- changes corrections it locks their events; those that are locked are the next sweep's.
create function memoria.prune_changes() returns void
language sql set search_path = '' as $$
  with old as (
    update memoria.changes
    set before = null, after = null, held = null, withdrew = null, touches = null, relies_on = null
    where id in (
      select changes.id from memoria.changes join memoria.events on events.id = changes.event_id
      where before is not null and changes.created_at < now() - make_interval(days => memoria.undo_days())
      order by changes.created_at limit 1000 for no key update of events skip locked
    )
    returning id
  ), gone as (
    delete from memoria.corrections where withdrawn_by in (select id from old)
  )
  delete from memoria.suggestions where answered_by in (select id from old) and answer <> 'not_sure'
$$;

-- 44_history.sql

-- What happened to people, latest first: by runs (job_id) and by users (by).

create function memoria.change_item(c memoria.changes) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'change_id', c.id, 'kind', c.kind, 'person_id', c.person_id, 'other_person_id', c.other_person_id,
    'people', (
      select coalesce(jsonb_agg(split_part(key, '/', 2) order by key), '[]')
      from jsonb_object_keys(c.after) as key where key like 'merged/%'
    ),
    'faces', c.faces, 'face_ids', to_jsonb(memoria.faces_of_change(c)),
    'name', (select value from jsonb_each(c.after) where key = 'name/' || c.person_id),
    'name_before', (select value from jsonb_each(c.before) where key = 'name/' || c.person_id),
    'by', c.made_by, 'job_id', c.job_id, 'created_at', c.created_at,
    'undoes', c.undoes, 'undone_by', c.undone_by,
    'can_undo', c.before is not null and c.undone_by is null
      and c.created_at >= now() - make_interval(days => memoria.undo_days())
  )
$$;

create function public.memoria_history(
  p_event_id text, p_person_id uuid default null, p_after jsonb default null, p_limit integer default 50
) returns jsonb
language plpgsql stable security definer
set search_path = ''
set statement_timeout = '30s'
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_limit integer := memoria.page_limit(coalesce(p_limit, 50));
  v_before bigint := coalesce((p_after #>> '{}')::bigint, 9223372036854775807);
  v_person memoria.persons;
  v_page bigint[];
begin
  perform memoria.authorize(p_event_id, 'manage');
  if p_person_id is null then
    v_page := array(
      select id from memoria.changes
      where event_id = p_event_id and id < v_before order by id desc limit v_limit + 1
    );
  else
    v_person := memoria.person_within(p_event_id, p_person_id);
    -- the latest of each of the ids that are this person, then the latest of those
    v_page := array(
      select distinct change_id from (
        select id from memoria.persons where id = v_person.id
        union all
        select id from memoria.persons where merged_into = v_person.id
      ) as person, lateral (
        select change_id from memoria.change_people
        where person_id = person.id and change_id < v_before order by change_id desc limit v_limit + 1
      ) as theirs
      order by change_id desc limit v_limit + 1
    );
  end if;
  return jsonb_build_object(
    'event_id', p_event_id,
    'is_now', case when v_person.id <> p_person_id then v_person.id end,
    'changes', (
      select coalesce(jsonb_agg(memoria.change_item(changes) order by id desc), '[]')
      from memoria.changes where id = any (v_page[:v_limit])
    ),
    'next', case when cardinality(v_page) > v_limit then v_page[v_limit] end
  );
end
$$;

-- 44_search_links.sql

-- Who may search: links for many guests, and tokens for one signed-in guest.

-- A number of the options, within its limits. Raises 22023, naming it.
create function memoria.search_option(
  p_options jsonb, p_name text, p_default integer, p_least integer, p_most integer
) returns integer
language plpgsql immutable set search_path = '' as $$
declare
  v_value jsonb := p_options -> p_name;
begin
  if v_value is null or v_value = 'null' then
    return p_default;
  elsif jsonb_typeof(v_value) <> 'number' or v_value::numeric not between p_least and p_most
    or v_value::numeric <> trunc(v_value::numeric) then
    raise exception '% must be a whole number from % to %.', p_name, p_least, p_most using errcode = '22023';
  end if;
  return v_value::numeric::integer;
end
$$;

-- 32 random bytes as text: two random uuids carry 244 random bits, hashed to spread them.
create function memoria.new_token() returns text
language sql volatile set search_path = '' as $$
  select translate(
    encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64'), '+/=', '-_'
  )
$$;

create function memoria.token_hash(p_token text) returns bytea
language sql immutable set search_path = '' as $$
  select sha256(convert_to(p_token, 'UTF8'))
$$;

-- What is kept of a guest: which one it is cannot be read from it, and not compared between events. Null
-- for nobody in particular.
create function memoria.guest_hash(p_event_id text, p_guest text) returns bytea
language sql immutable strict set search_path = '' as $$
  select sha256(convert_to(jsonb_build_array(p_event_id, p_guest)::text, 'UTF8'))
$$;

create function public.memoria_create_search_link(p_event_id text, p_options jsonb default '{}')
returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_token text := memoria.new_token();
  v_unknown text;
  v_link memoria.search_links;
begin
  perform memoria.lock_open_event(p_event_id, 'manage');
  if jsonb_typeof(p_options) <> 'object' then
    raise exception 'p_options must be an object.' using errcode = '22023';
  end if;
  select name into v_unknown from jsonb_object_keys(p_options) as name
  where name not in ('expires_in_hours', 'max_searches', 'per_guest', 'people_per_guest', 'maybe', 'label')
  limit 1;
  if v_unknown is not null then
    raise exception 'There is no option %.', v_unknown using errcode = '22023';
  elsif jsonb_typeof(p_options -> 'maybe') <> 'boolean' then
    raise exception 'maybe must be a boolean.' using errcode = '22023';
  elsif jsonb_typeof(p_options -> 'label') not in ('string', 'null')
    or char_length(p_options ->> 'label') not between 1 and 200 then
    raise exception 'label must be a text of 1 to 200 characters.' using errcode = '22023';
  end if;
  insert into memoria.search_links (
    event_id, token_hash, label, created_by, expires_at, max_searches, per_guest, people_per_guest, maybe
  ) values (
    p_event_id, memoria.token_hash(v_token), p_options ->> 'label', (select auth.uid()),
    clock_timestamp() + make_interval(hours => memoria.search_option(p_options, 'expires_in_hours', 168, 1, 8760)),
    memoria.search_option(p_options, 'max_searches', 500, 1, 1000000),
    memoria.search_option(p_options, 'per_guest', 10, 1, 1000),
    memoria.search_option(p_options, 'people_per_guest', 3, 1, 100),
    coalesce((p_options ->> 'maybe')::boolean, false)
  ) returning * into v_link;
  return jsonb_build_object('link_id', v_link.id, 'token', v_token, 'expires_at', v_link.expires_at);
end
$$;

-- For one signed-in (or anonymous, but known to Auth) guest, for a quarter of an hour.
create function public.memoria_open_search(p_event_id text, p_consent text) returns jsonb
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
    raise exception 'Consent to the current text is required.' using errcode = 'PT403';
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

-- The links that many share, newest first.
create function public.memoria_search_links(
  p_event_id text, p_after jsonb default null, p_limit integer default 100
) returns jsonb
language plpgsql stable security definer
set search_path = ''
set statement_timeout = '30s'
set enable_seqscan = off
set enable_bitmapscan = off
set enable_sort = off
set jit = off
as $$
declare
  v_limit integer := memoria.page_limit(p_limit);
  v_before timestamptz := coalesce((p_after ->> 'created_at')::timestamptz, 'infinity');
  v_before_id uuid := coalesce(memoria.as_uuid(p_after ->> 'link_id'), '00000000-0000-0000-0000-000000000000');
  v_page memoria.search_links[];
begin
  perform memoria.authorize(p_event_id, 'manage');
  v_page := array(
    select search_links from memoria.search_links
    where event_id = p_event_id and user_id is null and (created_at, id) < (v_before, v_before_id)
    order by created_at desc, id desc limit v_limit + 1
  );
  return jsonb_build_object(
    'event_id', p_event_id,
    'search_consent_version', memoria.setting('search_consent_version'),
    'links', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'link_id', id, 'label', label, 'created_at', created_at, 'expires_at', expires_at,
        'revoked_at', revoked_at, 'max_searches', max_searches, 'per_guest', per_guest,
        'people_per_guest', people_per_guest, 'maybe', maybe, 'searches', searches
      ) order by created_at desc, id desc), '[]')
      from unnest(v_page[:v_limit])
    ),
    'next', case when cardinality(v_page) > v_limit then jsonb_build_object(
      'created_at', v_page[v_limit].created_at, 'link_id', v_page[v_limit].id
    ) end
  );
end
$$;

-- Revoking ends what the link opened at once; again changes nothing.
create function public.memoria_revoke_search_link(p_link_id uuid) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_event_id text;
  v_revoked timestamptz;
begin
  select event_id into v_event_id from memoria.search_links where id = p_link_id;
  if v_event_id is null then
    perform memoria.refuse_unknown('link');
  end if;
  perform memoria.authorize(v_event_id, 'manage', 'link');
  update memoria.search_links set revoked_at = coalesce(revoked_at, clock_timestamp())
  where id = p_link_id returning revoked_at into v_revoked;
  return jsonb_build_object('link_id', p_link_id, 'revoked_at', v_revoked);
end
$$;

-- The faces that a guest who asks to be taken out was found by, and that were nobody's then: whose they are now.
create function memoria.faces_to_take_out(p_search memoria.searches) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(
    memoria.face_cover(faces.id) || jsonb_build_object('person_id', person_id) order by media_number, faces.id
  ), '[]')
  from memoria.faces
  where p_search.removal_requested_at is not null and id = any (p_search.loose_faces) and dismissed is null
$$;

-- The audit: first who asks to be taken out, then newest first.
create function public.memoria_searches(p_event_id text, p_limit integer default 100) returns jsonb
language plpgsql stable security definer set search_path = '' as $$
declare
  v_limit integer := least(greatest(coalesce(p_limit, 100), 1), 1000);
begin
  perform memoria.authorize(p_event_id, 'manage');
  return jsonb_build_object('event_id', p_event_id, 'searches', (
    select coalesce(jsonb_agg(jsonb_build_object(
      'search_id', id, 'link_id', link_id, 'guest', left(encode(guest, 'hex'), 12),
      'created_at', created_at, 'consent', consent, 'outcome', outcome, 'people', people,
      'loose_faces', cardinality(loose_faces), 'removal_requested_at', removal_requested_at,
      'take_out', memoria.faces_to_take_out(shown)
    ) order by removal_requested_at desc nulls last, created_at desc, id), '[]')
    from (
      select * from (
        (
          select * from memoria.searches
          where event_id = p_event_id and removal_requested_at is not null
          order by removal_requested_at desc, id limit v_limit
        )
        union all
        (
          select * from memoria.searches
          where event_id = p_event_id and removal_requested_at is null
          order by created_at desc, id limit v_limit
        )
      ) as either
      order by removal_requested_at desc nulls last, created_at desc, id limit v_limit
    ) as shown
  ));
end
$$;

-- After so many days the sweeper archives the event; null takes that back.
create function public.memoria_set_retention(p_event_id text, p_days integer) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_at timestamptz;
begin
  perform memoria.lock_open_event(p_event_id, 'manage');
  if p_days not between 1 and 3650 then
    raise exception 'p_days must be from 1 to 3650, or null.' using errcode = '22023';
  end if;
  update memoria.events set archive_at = now() + make_interval(days => p_days)
  where id = p_event_id returning archive_at into v_at;
  return jsonb_build_object('event_id', p_event_id, 'archive_at', v_at);
end
$$;

-- 45_search.sql

-- One search: begun before the picture is read, then answered from the vector that was found in it.

-- The link behind a token that still opens the event. One plan for unknown, expired and revoked ones.
create function memoria.open_link(p_token_hash text) returns memoria.search_links
language sql stable set search_path = '' as $$
  select links.* from memoria.search_links as links
  where token_hash = decode(p_token_hash, 'hex') and revoked_at is null and expires_at > clock_timestamp()
$$;

-- How often one search is answered again in a minute: a page that waits for late photos asks less often.
create function memoria.agains_per_minute() returns integer
language sql immutable set search_path = '' as $$
  select 30
$$;

create function memoria.too_many(p_message text, p_seconds double precision) returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object(
    'outcome', 'too_many_searches', 'message', p_message, 'retry_after', greatest(ceil(p_seconds), 1)
  )
$$;

-- Why this guest, link or event has had enough for now; null when it has not. Under the event's
-- advisory lock, so that searches at once are counted one after another.
create function memoria.search_limit(p_link memoria.search_links, p_event_id text, p_guest bytea)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_times timestamptz[];
  v_per_minute integer := memoria.number('searches_per_minute');
begin
  if p_link.searches >= p_link.max_searches then
    return memoria.too_many('this link has been used up', extract(epoch from p_link.expires_at - clock_timestamp()));
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
create function public.memoria_begin_search(
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
  if v_link.id is not null and v_guest is null then
    return jsonb_build_object('outcome', 'guest_required');
  elsif p_consent is distinct from memoria.setting('search_consent_version') #>> '{}' then
    return jsonb_build_object('outcome', 'consent_required');
  elsif v_event.status = 'archived' then
    return jsonb_build_object('outcome', 'event_archived');
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

-- What a search that found no usable face came to, for the audit.
create function public.memoria_refuse_search(p_search_id uuid, p_code text) returns jsonb
language plpgsql security definer set search_path = '' as $$
begin
  update memoria.searches set outcome = left(p_code, 100) where id = p_search_id and outcome = 'begun';
  return jsonb_build_object('outcome', 'refused');
end
$$;

-- How much likelier a selfie is of a person than of a stranger, in nats: search/likeness.py tells the
-- model. p_weight, p_length: how many pictures the selfie is worth, and the length of their mean.
create function memoria.likeness(
  p_similarity double precision, p_weight double precision, p_length double precision,
  p_faces double precision, p_mean_length double precision, p_background double precision,
  p_shared double precision, p_dimensions double precision
) returns double precision
language plpgsql immutable set search_path = '' as $$
declare
  clean constant double precision := 1 - p_background;
  noise constant double precision := 1 - p_shared;
  mine constant double precision := p_weight ^ 2 * (p_length ^ 2 - p_background) / clean;
  theirs constant double precision := p_faces ^ 2 * (p_mean_length ^ 2 - p_background) / clean;
  cross_ constant double precision :=
    p_weight * p_faces * (p_similarity * p_length * p_mean_length - p_background) / clean;
  both_ constant double precision := noise + (p_weight + p_faces) * p_shared;
  one constant double precision := noise + p_weight * p_shared;
  other constant double precision := noise + p_faces * p_shared;
begin
  return p_dimensions * (
    p_shared / (2 * noise) * ((mine + theirs + 2 * cross_) / both_ - mine / one - theirs / other)
    - (ln(both_ / noise) - ln(one / noise) - ln(other / noise)) / 2
  );
end
$$;

-- How alike the people of an event are, whoever they are: 0 to 0.3. Fewer than four say nothing.
create function memoria.background(p_event_id text, p_model text) returns double precision
language sql stable set search_path = '' as $$
  with means as (
    select count(*) as people, extensions.sum(centroid) as total,
      sum(mean_length) as lengths, sum(mean_length ^ 2) as squares
    from memoria.persons where event_id = p_event_id and model = p_model and centroid is not null
  )
  -- the centroids are unit: their lengths come back as the mean product of two people's
  select case
    when people < 4 then 0
    else least(greatest(
      (extensions.vector_norm(total) ^ 2 - people) / (people * (people - 1))
      * (lengths ^ 2 - squares) / (people * (people - 1)) * people / (people + 2), 0), 0.3)
  end
  from means
$$;

-- Everybody and every loose face that the selfie scores at least p_least with, best first.
create function memoria.alike(
  p_event_id text, p_embedding extensions.vector, p_model text, p_rule jsonb, p_least double precision
) returns table (subject uuid, is_person boolean, score double precision)
language plpgsql stable set search_path = '' as $$
declare
  v_weight constant double precision := p_rule ->> 'weight';
  v_length constant double precision := p_rule ->> 'mean_length';
  v_shared constant double precision := p_rule ->> 'shared';
  v_dimensions constant double precision := p_rule ->> 'dimensions';
  v_background constant double precision := memoria.background(p_event_id, p_model);
  -- a loose face's score is a straight line over its similarity: two points give the one to ask for
  v_at_0 constant double precision :=
    memoria.likeness(0, v_weight, v_length, 1, 1, v_background, v_shared, v_dimensions);
  v_at_1 constant double precision :=
    memoria.likeness(1, v_weight, v_length, 1, 1, v_background, v_shared, v_dimensions);
begin
  return query
  with identities as (
    select coalesce(persons.merged_into, persons.id) as root, memoria.likeness(
      -(persons.centroid operator(extensions.<#>) p_embedding), v_weight, v_length,
      persons.centroid_faces, persons.mean_length, v_background, v_shared, v_dimensions
    ) as score
    from memoria.persons
    where persons.event_id = p_event_id and persons.model = p_model and persons.centroid is not null
  ), found as (
    select identities.root, true, max(identities.score) as score
    from identities join memoria.persons on persons.id = identities.root
    where not persons.hidden and persons.face_count > 0 and identities.score >= p_least
    group by identities.root
    union all
    select faces.id, false, v_at_0 + (v_at_1 - v_at_0) * -(faces.embedding operator(extensions.<#>) p_embedding)
    from memoria.faces
    where faces.event_id = p_event_id and faces.person_id is null and faces.dismissed is null
      and faces.model = p_model
      and -(faces.embedding operator(extensions.<#>) p_embedding) >= (p_least - v_at_0) / (v_at_1 - v_at_0)
  )
  select * from found order by 3 desc, 1 limit 200;
end
$$;

-- How alike a face is to the mean of its person's other faces, from the mean of all. Null where there are
-- too few of them, or where a user said whose it is.
create function memoria.alike_to_others(p_face memoria.faces) returns double precision
language sql stable set search_path = '' as $$
  select (total * similarity - 1) / nullif(sqrt(total ^ 2 - 2 * total * similarity + 1), 0)
  from (
    select centroid_faces * mean_length::double precision as total,
      -(centroid operator(extensions.<#>) p_face.embedding) as similarity
    from memoria.persons
    where id = p_face.identity_id and model = p_face.model and centroid_faces > 2
  ) as person
  where not exists (
    select from memoria.corrections where face_id = p_face.id and kind = 'pin'
  )
$$;

-- The photos of people and of loose faces: each photo once, with the box that is meant. It is sure where
-- the face is alike enough to its person's others; the rest only for who is told of what may be.
create function memoria.photos_of(p_people uuid[], p_faces uuid[], p_belongs double precision, p_maybe boolean)
returns jsonb
language sql stable set search_path = '' as $$
  with boxes as (
    select distinct on (media_id) media_id, x, y, w, h, is_sure
    from (
      select media_id, x, y, w, h, quality,
        coalesce(memoria.alike_to_others(faces) >= p_belongs, true) as is_sure
      from memoria.faces where person_id = any (p_people)
      union all
      select media_id, x, y, w, h, quality, true from memoria.faces where id = any (p_faces)
    ) as faces
    where is_sure or p_maybe
    order by media_id, is_sure desc, quality desc
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'media_id', media.id, 'bbox', jsonb_build_object('x', x, 'y', y, 'w', w, 'h', h),
    'width', width, 'height', height, 'band', case when is_sure then 'sure' else 'maybe' end,
    'bucket', bucket, 'path', path, 'preview_path', preview_path
  ) order by media.number), '[]')
  from boxes join memoria.media on media.id = boxes.media_id
$$;

-- Whether this guest may be these people too. People and faces that one selfie surely finds are one human
-- being (who it may be is not: look-alikes would lead from one to the next): they share a slot, and a guest has as many slots as the link says.
create function memoria.take_slot(p_event_id text, p_guest bytea, p_subjects uuid[], p_slots integer)
returns boolean
language plpgsql set search_path = '' as $$
declare
  v_hashes bytea[] := array(
    select sha256(p_guest || uuid_send(subject)) from unnest(p_subjects) as subject
  );
  -- as whom they may have been found before: loose faces since found their person, people are merged
  v_before bytea[] := array(
    select sha256(p_guest || uuid_send(id)) from (
      select id from memoria.persons where merged_into = any (p_subjects)
      union all
      select id from memoria.faces where person_id = any (p_subjects)
    ) as known
  );
  v_slot integer;
begin
  perform pg_advisory_xact_lock(hashtextextended('memoria search ' || p_event_id, 0));
  select min(slot) into v_slot from memoria.search_subjects
  where event_id = p_event_id and guest = p_guest and subject = any (v_hashes || v_before);
  if v_slot is null then
    select coalesce(max(slot), 0) + 1 into v_slot from memoria.search_subjects
    where event_id = p_event_id and guest = p_guest;
    if v_slot > p_slots then
      return false;
    end if;
  end if;
  insert into memoria.search_subjects (event_id, guest, subject, slot)
  select p_event_id, p_guest, hash, v_slot from unnest(v_hashes) as hash
  on conflict do nothing;
  return true;
end
$$;

-- What there is to search. It reads the people and the loose faces, never all faces of the event.
create function memoria.searched(p_event_id text, p_model text) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'people', people, 'loose_faces', loose_faces, 'of_another_model', other_people + other_loose
  )
  from (
    select count(*) filter (where not hidden) as people,
      coalesce(sum(face_count) filter (where model <> p_model), 0) as other_people
    from memoria.persons where event_id = p_event_id and face_count > 0 and merged_into is null
  ) as persons, (
    select count(*) filter (where model = p_model and embedding is not null) as loose_faces,
      count(*) filter (where model <> p_model) as other_loose
    from memoria.faces where event_id = p_event_id and person_id is null and dismissed is null
  ) as faces
$$;

-- The scan and the audit. p_rule: search/likeness.py's Rule, with the selfie's weight and mean_length.
create function public.memoria_search(
  p_search_id uuid, p_embedding extensions.vector, p_model text, p_rule jsonb
) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '5s'
-- plans made while the tables were small must serve when they are large
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  v_search memoria.searches;
  v_link memoria.search_links;
  v_event memoria.events;
  v_searched jsonb;
  v_others integer;
  v_slope constant double precision := p_rule ->> 'slope';
  v_belongs constant double precision := p_rule ->> 'belongs';
  v_tells_maybe boolean;
  v_certain double precision;
  v_sure double precision;
  v_maybe double precision;
  v_people uuid[];
  v_faces uuid[];
  v_themselves uuid[];
  v_matches jsonb;
begin
  select * into v_search from memoria.searches where id = p_search_id and outcome = 'begun';
  select * into v_event from memoria.events where id = v_search.event_id for key share;
  select * into v_link from memoria.search_links where id = v_search.link_id;
  if v_event.id is null or (v_search.link_id is not null and (v_link.revoked_at is not null)) then
    return jsonb_build_object('outcome', 'not_found');
  elsif v_event.status = 'archived' then
    return jsonb_build_object('outcome', 'event_archived');
  end if;
  v_searched := memoria.searched(v_event.id, p_model);
  if (v_searched ->> 'of_another_model')::integer > 0 and not exists (
    select from memoria.faces where event_id = v_event.id and model = p_model and embedding is not null
  ) then
    update memoria.searches set outcome = 'model_changed', model = p_model where id = p_search_id;
    return jsonb_build_object('outcome', 'model_changed');
  end if;
  v_others := (v_searched ->> 'people')::integer + (v_searched ->> 'loose_faces')::integer;
  -- the score that every stranger reaches somewhere: from there on the chance falls to 1/e per slope
  v_certain := (p_rule ->> 'demand')::double precision
    + v_slope * (greatest(ln(greatest(v_others, 1) / 100.0), 0) - ln(1000));
  v_sure := v_certain - v_slope * ln((p_rule ->> 'fpir')::double precision);
  v_maybe := v_certain - v_slope * ln(0.02);
  v_tells_maybe := v_search.link_id is null or v_link.maybe;

  select
    array_agg(subject order by place) filter (where is_person),
    array_agg(subject order by place) filter (where not is_person),
    array_agg(subject) filter (where place = 1 or score >= v_sure),
    jsonb_agg(jsonb_build_object(
      'match', 'm' || place, 'subject', subject, 'is_person', is_person,
      'confidence', round((1 - exp(-greatest((score - v_certain) / v_slope, 0)))::numeric, 6),
      'band', case when score >= v_sure then 'sure' else 'maybe' end,
      'photos', photos
    ) order by place)
  into v_people, v_faces, v_themselves, v_matches
  from (
    select *, row_number() over (order by score desc, subject) as place
    from memoria.alike(
      v_event.id, p_embedding, p_model, p_rule, case when v_tells_maybe then least(v_sure, v_maybe) else v_sure end
    ), lateral (
      select memoria.photos_of(
        case when is_person then array[subject] end, case when not is_person then array[subject] end,
        v_belongs, v_tells_maybe
      ) as photos
      offset 0  -- once, not each time that it is named
    ) as theirs
    where photos <> '[]'
  ) as ranked;

  if v_matches is not null and v_search.guest is not null and not memoria.take_slot(
    v_event.id, v_search.guest, v_themselves, coalesce(v_link.people_per_guest, 3)
  ) then
    update memoria.searches set outcome = 'person_limit', model = p_model where id = p_search_id;
    return jsonb_build_object('outcome', 'person_limit');
  end if;
  -- whom a user forgets meanwhile is not noted, or is there to be purged: forgetting waits for these locks
  v_people := array(select id from memoria.persons where id = any (v_people) for key share skip locked);
  v_faces := array(select id from memoria.faces where id = any (v_faces) for key share skip locked);
  update memoria.searches
  set outcome = case when v_matches is null then 'nobody' else 'found' end, model = p_model,
    people = v_people, loose_faces = v_faces, belongs = v_belongs
  where id = p_search_id;
  return jsonb_build_object(
    'outcome', case when v_matches is null then 'nobody' else 'found' end,
    'event_id', v_event.id, 'matches', coalesce(v_matches, '[]'), 'searched', v_searched,
    'complete', memoria.search_complete(v_event.id)
  );
end
$$;

-- Whether every photo that is there has been looked at and grouped.
create function memoria.search_complete(p_event_id text) returns boolean
language sql stable set search_path = '' as $$
  select ungrouped_since is null and not exists (
    select from memoria.media where event_id = p_event_id and status = 'pending'
  )
  from memoria.events where id = p_event_id
$$;

-- A search that a token's holder made. The same guest, the same link, still open.
create function memoria.own_search(p_search_id uuid, p_token_hash text, p_guest text, p_event_id text)
returns memoria.searches
language sql stable set search_path = '' as $$
  select searches.* from memoria.searches
  left join memoria.open_link(p_token_hash) as link on link.id is not null
  where searches.id = p_search_id and searches.outcome in ('found', 'nobody')
    and case
      when p_token_hash is null then searches.event_id = p_event_id
      else searches.link_id = link.id and searches.guest is not distinct from memoria.guest_hash(
        searches.event_id, coalesce('user ' || link.user_id::text, 'guest ' || p_guest)
      )
    end
$$;

-- Counts that a search is answered again, within its minute. Null, or why it was answered often enough.
create function memoria.count_again(p_search memoria.searches) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_minute constant timestamptz := clock_timestamp() - interval '1 minute';
  v_search memoria.searches;
begin
  update memoria.searches set
    again_from = case when again_from > v_minute then again_from else clock_timestamp() end,
    agains = case when again_from > v_minute then least(agains, memoria.agains_per_minute()) + 1 else 1 end
  where id = p_search.id returning * into v_search;
  if v_search.agains > memoria.agains_per_minute() then
    return memoria.too_many('ask again in a minute', extract(epoch from v_search.again_from - v_minute));
  elsif (
    select sum(agains) from memoria.searches where event_id = v_search.event_id and again_from > v_minute
  ) > memoria.number('searches_per_minute') then
    return memoria.too_many('many people search this event now: try again in a minute', 60);
  end if;
  return null;
end
$$;

-- Today's photos of the same matches, without another selfie.
create function public.memoria_search_again(
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
  select array_agg(distinct persons.id) into v_people
  from memoria.persons
  where persons.event_id = v_search.event_id and not persons.hidden and persons.id in (
    select memoria.root_of(person) from unnest(v_search.people) as person
    union
    select person_id from memoria.faces where id = any (v_search.loose_faces) and person_id is not null
  );
  v_faces := array(
    select id from memoria.faces
    where id = any (v_search.loose_faces) and person_id is null and dismissed is null
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

-- The guest asks to be taken out of the event: the host sees it in the audit.
create function public.memoria_request_removal(
  p_search_id uuid, p_token_hash text default null, p_guest text default null, p_event_id text default null
) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_search memoria.searches := memoria.own_search(p_search_id, p_token_hash, p_guest, p_event_id);
begin
  if v_search.id is null then
    return jsonb_build_object('outcome', 'not_found');
  end if;
  update memoria.searches set removal_requested_at = coalesce(removal_requested_at, clock_timestamp())
  where id = v_search.id returning * into v_search;
  return jsonb_build_object('outcome', 'requested', 'removal_requested_at', v_search.removal_requested_at);
end
$$;

-- 46_retention.sql

-- What the sweeper ends: audit rows and links whose time is over, and events that are to be archived.

-- Nobody is waited for, and one sweep ends: what is left is the next one's.
create function memoria.prune_searches() returns void
language sql set search_path = '' as $$
  delete from memoria.searches where id in (
    select id from memoria.searches
    where created_at < now() - make_interval(days => memoria.number('keep_searches_days')::integer)
      -- a host has as long to see that a guest asks to be taken out
      and greatest(created_at, removal_requested_at)
        < now() - make_interval(days => memoria.number('keep_searches_days')::integer)
    order by created_at limit 10000 for update skip locked
  );
  delete from memoria.search_links where id in (
    select id from memoria.search_links
    where expires_at < now() - make_interval(days => memoria.number('keep_searches_days')::integer)
      and not exists (select from memoria.searches where link_id = search_links.id offset 0)
    order by expires_at limit 10000 for update skip locked
  );
$$;

-- One event at a time, so that a sweep never holds the locks of many.
create function memoria.archive_one_due() returns integer
language plpgsql set search_path = '' as $$
declare
  v_event_id text;
begin
  select id into v_event_id from memoria.events
  where archive_at <= now() and status <> 'archived'
  order by archive_at limit 1 for no key update skip locked;
  if v_event_id is null then
    return 0;
  end if;
  perform public.memoria_archive_event(v_event_id);
  return 1;
end
$$;

-- 50_sweep.sql

-- The sweeper: it only repairs, and hands out what has become due. It works event by event under the
-- event's lock, as everyone else does; an event that is locked is left for the next sweep.

create table memoria.sweeps (
  only_one boolean primary key default true,
  swept_at timestamptz not null default '-infinity',
  -- why pg_cron could not be told to sweep, or null
  schedule_error text,
  constraint sweeps_is_one_row check (only_one)
);
insert into memoria.sweeps default values;
alter table memoria.sweeps enable row level security;

create function memoria.as_jsonb(p_text text) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  return p_text::jsonb;
exception when others then
  return null;
end
$$;

-- Jobs whose own nudge a function of ours has answered with 400 or 413: another would be answered the
-- same. Only our own error body counts, and only for the request of that job and its time: ids of
-- requests start anew after a crash.
create function memoria.refused_nudges()
returns table (job_id uuid, event_id text, nudge_id bigint, code text, message text)
language plpgsql stable set search_path = '' as $$
begin
  if to_regclass('net._http_response') is null then
    return;
  end if;
  return query execute $query$
    select sent.job_id, sent.event_id, sent.id, body #>> '{error,code}', left(body #>> '{error,message}', 1000)
    from (
      select distinct on (dispatches.job_id) dispatches.*
      from memoria.jobs join memoria.dispatches on dispatches.job_id = jobs.id
      where jobs.status = 'dispatched' order by dispatches.job_id, dispatches.id desc
    ) as sent
    join net._http_response as answer on answer.id = sent.request_id
      and answer.created between sent.created_at - interval '1 second' and sent.created_at + interval '10 minutes'
    cross join lateral memoria.as_jsonb(answer.content) as body
    where answer.created > clock_timestamp() - interval '20 minutes'
      and (answer.status_code, body #>> '{error,code}') in ((400, 'invalid_request'), (413, 'body_too_large'))
      and jsonb_typeof(body #> '{error,message}') = 'string'
      and body - 'error' = '{}' and (body -> 'error') - 'code' - 'message' = '{}'
  $query$;
end
$$;

-- Jobs that an outage outlasted, of a kind that has succeeded since: each is revived once. A thousand of a
-- kind in one sweep, the oldest first: one that never ends in its time would revive nobody.
create function memoria.revivable_jobs() returns table (job_id uuid, event_id text)
language sql stable set search_path = '' as $$
  select dead.id, dead.event_id
  from unnest(array['process', 'cluster', 'callback']) as one (kind)
  cross join lateral (
    select max(finished_at) as at from memoria.jobs where jobs.kind = one.kind and status = 'completed'
  ) as success
  cross join lateral (
    select jobs.id, jobs.event_id from memoria.jobs join memoria.events on events.id = jobs.event_id
    where jobs.kind = one.kind and jobs.status = 'failed' and waiting_since is not null and not revived
      and finished_at < success.at and (events.status = 'open' or jobs.kind = 'callback')
    order by finished_at limit 1000
  ) as dead
$$;

-- Whether a dead job's work is still to be done: no other job did it since, or does.
create function memoria.is_undone(p_job memoria.jobs) returns boolean
language sql stable set search_path = '' as $$
  select case p_job.kind
    when 'process' then not exists (
      select from memoria.jobs as other
      where other.id <> p_job.id and other.kind = 'process' and other.media_id = p_job.media_id
        and (other.status in ('queued', 'dispatched', 'running') or other.finished_at > p_job.finished_at)
    )
    when 'cluster' then not exists (
      select from memoria.jobs as other
      where other.id <> p_job.id and other.kind = 'cluster' and other.event_id = p_job.event_id
        and (other.status in ('queued', 'dispatched', 'running') or other.finished_at > p_job.finished_at)
    )
    else true
  end
$$;

-- Queues a dead job anew with all its attempts, unless another did its work since, or does. The event is
-- locked and open, or it is a callback.
create function memoria.revive_job(p_job_id uuid) returns boolean
language plpgsql set search_path = '' as $$
declare
  v_job memoria.jobs;
begin
  -- by its key alone: without statistics a plan would look for it among all that failed
  select * into v_job from memoria.jobs where id = p_job_id for no key update;
  if v_job.id is null or v_job.status <> 'failed' or not memoria.is_undone(v_job) then
    return false;
  end if;
  update memoria.jobs set
    status = 'queued', attempts = 0, deaths = 0, waits = 0, waiting_since = null,
    run_after = clock_timestamp(), finished_at = null,
    no_later_than = case when kind = 'cluster' then '-infinity'::timestamptz end
  where id = p_job_id;
  if v_job.kind = 'process' then
    -- one that was done stays done where only a drawn face is to be read
    update memoria.media set status = 'pending', completed_at = null, error_code = null, error_message = null
    where id = v_job.media_id and status = 'failed';
    perform memoria.touch_photos(v_job.event_id);
  end if;
  return true;
end
$$;

-- Events with photos without a job: restored from a dump, or inserted while triggers were off. Each photo's job is
-- looked up by its key: without statistics (just after a large upload) a join compares all with all.
create function memoria.events_without_jobs() returns table (event_id text)
language sql stable set search_path = '' as $$
  select distinct media.event_id
  from memoria.media join memoria.events on events.id = media.event_id
  where media.status = 'pending' and events.status = 'open' and not exists (
    select from memoria.jobs
    where jobs.media_id = media.id and kind = 'process' and jobs.status in ('queued', 'dispatched', 'running')
    offset 0
  )
$$;

-- Ends the attempts of an event's workers that fell silent, and takes back nudges that nobody claimed.
-- The event is locked.
create function memoria.end_leases(p_event_id text, out runs integer, out nudges integer)
language plpgsql set search_path = '' as $$
declare
  v_job memoria.jobs;
begin
  runs := 0;
  for v_job in
    select * from memoria.jobs
    where event_id = p_event_id and status = 'running' and leased_until < clock_timestamp()
    order by id for no key update skip locked
  loop
    perform memoria.fail_job(v_job, 'lease_expired', 'The worker fell silent.', 'death', true);
    runs := runs + 1;
  end loop;
  -- the nudge was lost: nobody claimed, so nothing is counted
  update memoria.jobs set status = 'queued', leased_until = null
  where id in (
    select id from memoria.jobs
    where event_id = p_event_id and status = 'dispatched' and leased_until < clock_timestamp()
    order by id for no key update skip locked
  );
  get diagnostics nudges = row_count;
end
$$;

-- An event may be archived while a photo is on its way in. The event is locked.
create function memoria.end_archived(p_event_id text) returns integer
language plpgsql set search_path = '' as $$
declare
  v_count integer;
begin
  if not exists (select from memoria.events where id = p_event_id and status = 'archived') then
    return 0;
  end if;
  update memoria.jobs
  set status = 'cancelled', finished_at = clock_timestamp(), token = null, leased_until = null, payload = null
  where id in (
    select id from memoria.jobs
    where event_id = p_event_id and kind <> 'callback' and status in ('queued', 'dispatched', 'running')
    order by id for no key update skip locked
  );
  get diagnostics v_count = row_count;
  update memoria.media set
    status = 'failed', completed_at = clock_timestamp(),
    error_code = 'event_archived', error_message = 'The event is archived.'
  where event_id = p_event_id and status = 'pending';
  perform memoria.tell_progress(p_event_id);
  return v_count;
end
$$;

-- Everything that one event needs. Returns what was done, by name. p_refused, p_revivable: as memoria.repairs lists them.
create function memoria.repair_event(p_event_id text, p_refused jsonb, p_revivable uuid[]) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_ended record;
  v_refused record;
  v_job memoria.jobs;
  v_dead uuid;
  v_open constant boolean := (select status = 'open' from memoria.events where id = p_event_id);
  v_refusals integer := 0;
  v_found integer;
  v_revived integer := 0;
begin
  for v_refused in
    select * from jsonb_to_recordset(p_refused) as (job_id uuid, nudge_id bigint, code text, message text)
  loop
    select * into v_job from memoria.jobs
    where id = v_refused.job_id and status = 'dispatched' for no key update skip locked;
    continue when not found or exists (
      -- another nudge is on its way since
      select from memoria.dispatches where job_id = v_refused.job_id and id > v_refused.nudge_id
    );
    v_job.waiting_since := null;
    perform memoria.bury_job(v_job, v_refused.code, v_refused.message, true);
    v_refusals := v_refusals + 1;
  end loop;
  select * into v_ended from memoria.end_leases(p_event_id);
  insert into memoria.jobs (kind, event_id, media_id, max_attempts)
  select 'process', event_id, id, (select memoria.setting_of('max_attempts', 'process'))
  from memoria.media
  where event_id = p_event_id and status = 'pending' and v_open
    and not exists (
      select from memoria.jobs
      where jobs.media_id = media.id and kind = 'process' and jobs.status in ('queued', 'dispatched', 'running')
      offset 0
    )
  on conflict do nothing;
  get diagnostics v_found = row_count;
  foreach v_dead in array p_revivable loop
    select * into v_job from memoria.jobs where id = v_dead for no key update;
    continue when v_job.revived or v_job.status <> 'failed' or not (v_open or v_job.kind = 'callback');
    -- once, whether or not there is something left to do
    update memoria.jobs set revived = true where id = v_dead;
    v_revived := v_revived + memoria.revive_job(v_dead)::integer;
  end loop;
  return jsonb_build_object(
    'refused', v_refusals, 'runs_expired', v_ended.runs, 'nudges_expired', v_ended.nudges,
    'media_found', v_found, 'revived', v_revived, 'cancelled', memoria.end_archived(p_event_id)
  );
end
$$;

-- Events that something is to be repaired in, in the order in which they are locked. What is asked of all
-- events at once is asked here, once a sweep, and handed over event by event.
create function memoria.repairs() returns table (event_id text, refused jsonb, revivable uuid[])
language sql stable set search_path = '' as $$
  with refused as (
    select event_id, jsonb_agg(to_jsonb(nudge) - 'event_id') as nudges
    from memoria.refused_nudges() as nudge group by event_id
  ), revivable as (
    select event_id, array_agg(job_id order by job_id) as jobs from memoria.revivable_jobs() group by event_id
  ), broken as (
    select event_id from memoria.jobs
    where status in ('dispatched', 'running') and leased_until < clock_timestamp()
      and kind in ('process', 'cluster', 'callback')
    union
    select event_id from refused
    union
    select event_id from memoria.events_without_jobs()
    union
    select event_id from revivable
    union
    select events.id from memoria.events
    where events.status = 'archived' and (
      exists (select from memoria.media where event_id = events.id and status = 'pending')
      or exists (
        select from memoria.jobs
        where event_id = events.id and kind in ('process', 'cluster') and status in ('queued', 'dispatched', 'running')
      )
    )
    order by event_id limit 1000
  )
  select event_id, coalesce(refused.nudges, '[]'), coalesce(revivable.jobs, '{}')
  from broken left join refused using (event_id) left join revivable using (event_id)
  order by event_id
$$;

-- What is queued in lanes that the dispatcher does not know of: a crash empties unlogged tables.
create function memoria.find_arrivals() returns void
language sql set search_path = '' as $$
  insert into memoria.arrivals (kind, waiting, event_id, due_at)
  with recursive queued as (
    (select kind, event_id from memoria.jobs where status = 'queued' order by kind, event_id limit 1)
    union all
    select next.kind, next.event_id from queued, lateral (
      select kind, event_id from memoria.jobs
      where status = 'queued' and (kind, event_id) > (queued.kind, queued.event_id)
      order by kind, event_id limit 1
    ) as next
  )
  select queued.kind, side.waiting, queued.event_id, first.run_after
  from queued, (values (false), (true)) as side (waiting), lateral (
    select run_after from memoria.jobs
    where kind = queued.kind and event_id = queued.event_id and status = 'queued'
      and jobs.waiting = side.waiting
    order by run_after limit 1
  ) as first
  where not exists (
    select from memoria.lanes
    where kind = queued.kind and event_id = queued.event_id and waiting = side.waiting
      and (ready or due_at <= first.run_after or due_at > clock_timestamp() and due_at < 'infinity')
  )
$$;

create function memoria.prune_dispatches() returns integer
language plpgsql set search_path = '' as $$
declare
  v_count integer;
  v_horizon timestamptz := clock_timestamp()
    - make_interval(secs => memoria.number('keep_dispatches_hours')::double precision * 3600);
begin
  delete from memoria.dispatches where id in (
    select id from memoria.dispatches where created_at < v_horizon order by created_at limit 10000
    for update skip locked
  );
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

-- Lanes of events that are gone. The dispatcher is locked.
create function memoria.prune_lanes() returns void
language sql set search_path = '' as $$
  delete from memoria.lanes where not exists (select from memoria.events where id = lanes.event_id);
  delete from memoria.owners where not ready and not exists (
    select from memoria.lanes
    where kind = owners.kind and waiting = owners.waiting and lanes.owner = owners.owner
  );
$$;

-- Repairs what got lost and hands out what has become due; safe to run at any time, by anyone, twice.
create function public.memoria_sweep() returns jsonb
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
    v_done := memoria.repair_event(v_event.event_id, v_event.refused, v_event.revivable);
    v_report := (
      select jsonb_object_agg(key, value::integer + (v_done ->> key)::integer) from jsonb_each_text(v_report)
    );
  end loop;
  v_report := v_report || jsonb_build_object(
    'handed_over', v_handed_over, 'dispatches_pruned', memoria.prune_dispatches()
  );
  perform memoria.archive_one_due();
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

-- For workers, after their answer: hands out what has become due, and sweeps where nobody has for a
-- while, so that neither the end of a quiet period nor a missing cron is waited for. again_in_seconds:
-- when something is due next, if soon.
create function public.memoria_sweep_if_due() returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
set enable_seqscan = off
set jit = off
as $$
declare
  v_kind text;
  v_swept boolean := false;
  v_sent integer := 0;
  v_next timestamptz;
begin
  perform from memoria.sweeps
  where only_one and swept_at < clock_timestamp() - memoria.seconds('sweep_seconds')
  for no key update skip locked;
  if found then
    perform public.memoria_sweep();
    v_swept := true;
  else
    foreach v_kind in array array['process', 'cluster', 'callback'] loop
      if exists (select from memoria.lanes where kind = v_kind and not ready and due_at <= clock_timestamp()) then
        v_sent := v_sent + memoria.dispatch(v_kind);
      end if;
    end loop;
  end if;
  select min(first.due_at) into v_next
  from unnest(array['process', 'cluster', 'callback']) as one (kind), lateral (
    select due_at from memoria.lanes where kind = one.kind and not ready order by due_at limit 1
  ) as first;
  return jsonb_build_object(
    'swept', v_swept, 'dispatched', v_sent,
    'again_in_seconds', case when v_next < clock_timestamp() + interval '2 minutes' then
      round(greatest(extract(epoch from v_next - clock_timestamp()), 0)::numeric, 3)
    end
  );
end
$$;

-- 51_operations.sql

-- What an operator does: a look at the queue, settings, another try for what is dead, the schedule.

create view memoria.queue_depth with (security_invoker = true) as
  select kind, status, count(*) as jobs, min(created_at) as oldest_at
  from memoria.jobs group by kind, status;

-- A nudge that is on its way is no work being done yet.
create view memoria.oldest_waiting with (security_invoker = true) as
  select distinct on (kind) kind, id as job_id, event_id, media_id, tries, created_at, error_code
  from memoria.jobs
  where (status = 'queued' and run_after <= clock_timestamp()) or status = 'dispatched'
  order by kind, created_at;

create view memoria.failures with (security_invoker = true) as
  select kind, error_code, count(*) as jobs, max(finished_at) as last_at,
    (array_agg(error_message order by finished_at desc))[1] as last_message
  from memoria.jobs where status = 'failed' group by kind, error_code;

-- What something outside keeps from being done.
create view memoria.outages with (security_invoker = true) as
  select kind, error_code, count(*) as jobs, min(waiting_since) as since,
    (array_agg(error_message order by waiting_since desc))[1] as last_message
  from memoria.jobs where waiting_since is not null and finished_at is null group by kind, error_code;

-- Photos that came to an archived event from a followed table, or still waited when it was archived: no job tells of them.
create view memoria.not_looked_at with (security_invoker = true) as
  select count(*) as photos, count(distinct events.id) as events
  from memoria.events join memoria.media on media.event_id = events.id
  where events.status = 'archived' and media.status = 'failed' and media.error_code = 'event_archived';

-- Followed tables of which something went by unnoticed, or will.
create view memoria.broken_follows with (security_invoker = true) as
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
    end) as reason
  ) as told
  where reason is not null;

create function public.memoria_status() returns jsonb
language sql stable security definer
set search_path = ''
set statement_timeout = '30s'
as $$
  select jsonb_build_object(
    'queue', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'kind', kind, 'status', status, 'jobs', jobs,
        'oldest_seconds', round(extract(epoch from clock_timestamp() - oldest_at))
      ) order by kind, status), '[]') from memoria.queue_depth
    ),
    'in_flight', (
      select jsonb_object_agg(key, jsonb_build_object('now', memoria.in_flight(key), 'most', value))
      from jsonb_each(memoria.setting('max_in_flight'))
    ),
    'oldest_waiting', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'kind', kind, 'job_id', job_id, 'event_id', event_id, 'media_id', media_id, 'attempts', tries,
        'seconds', round(extract(epoch from clock_timestamp() - created_at)), 'code', error_code
      ) order by kind), '[]') from memoria.oldest_waiting
    ),
    'outages', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'kind', kind, 'code', error_code, 'jobs', jobs, 'since', since, 'last_message', last_message
      ) order by jobs desc, kind, error_code), '[]') from memoria.outages
    ),
    'failures', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'kind', kind, 'code', error_code, 'jobs', jobs, 'last_at', last_at, 'last_message', last_message
      ) order by jobs desc, kind, error_code), '[]') from memoria.failures
    ),
    'archived', (select jsonb_build_object('photos', photos, 'events', events) from memoria.not_looked_at)
  )
$$;

-- Gives pg_cron a job, on the first of these schedules that it takes. Returns why it takes none, or null.
create function memoria.schedule_job(p_name text, p_schedules text[], p_command text) returns text
language plpgsql set search_path = '' as $$
declare
  v_schedule text;
  v_error text;
begin
  foreach v_schedule in array p_schedules loop
    begin
      execute 'select cron.schedule($1, $2, $3)' using p_name, v_schedule, p_command;
      return null;
    exception when others then
      v_error := sqlerrm;
    end;
  end loop;
  return v_error;
end
$$;

-- Schedules the sweeper where pg_cron is there; the same name replaces, so it may be called again.
-- Never raises: doctor tells why nothing is scheduled.
create function memoria.schedule_sweep() returns void
language plpgsql set search_path = '' as $$
declare
  v_error text := 'pg_cron is not installed';
begin
  if to_regprocedure('cron.schedule(text, text, text)') is not null then
    -- pg_cron before 1.5 knows no seconds
    v_error := memoria.schedule_job(
      'memoria-sweep', array['30 seconds', '* * * * *'], 'select public.memoria_sweep()'
    );
    -- pg_cron keeps a row per run for ever, also of jobs that are no longer scheduled
    perform memoria.schedule_job(
      'memoria-prune-cron', array['17 3 * * *'],
      'delete from cron.job_run_details where end_time < now() - interval ''2 days'' and ('
      'jobid in (select jobid from cron.job where jobname like ''memoria-%'') '
      'or (jobid not in (select jobid from cron.job) and command like ''%memoria_sweep%''))'
    );
  end if;
  update memoria.sweeps set schedule_error = v_error where schedule_error is distinct from v_error;
end
$$;

-- A value into Vault. Where Vault cannot be decrypted any more, what it holds is made anew. Returns
-- whether Vault took it.
create function memoria.keep_in_vault(p_name text, p_value text) returns boolean
language plpgsql set search_path = '' as $$
begin
  if to_regprocedure('vault.create_secret(text, text, text, uuid)') is null
    and to_regprocedure('vault.create_secret(text, text, text)') is null then
    return false;
  end if;
  if (memoria.vault_value(p_name)).value is not distinct from p_value and (memoria.vault_value(p_name)).fault is null then
    return true;
  end if;
  execute 'delete from vault.secrets where name = $1' using 'memoria_' || p_name;
  if p_value is not null then
    execute 'select vault.create_secret($1, $2)' using p_value, 'memoria_' || p_name;
  end if;
  return true;
exception when others then
  raise warning 'memoria: Vault does not take %: %', p_name, sqlerrm;
  return false;
end
$$;

create function memoria.keep_secret(p_name text, p_value text) returns void
language plpgsql set search_path = '' as $$
begin
  if memoria.keep_in_vault(p_name, p_value) then
    p_value := null;
  end if;
  update memoria.settings set value = coalesce(to_jsonb(p_value), 'null') where key = p_name;
end
$$;

-- Every setting but the secret itself.
create function memoria.readable_settings() returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_object_agg(key, case type
    when 'url' then to_jsonb(memoria.secret(key))
    when 'secret' then to_jsonb(case when memoria.secret(key) is null then 'not set' else 'set' end)
    else value
  end)
  from memoria.settings
$$;

create function public.memoria_configure(p_settings jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_faults text;
begin
  if jsonb_typeof(p_settings) is distinct from 'object' then
    raise exception 'p_settings is an object of settings.' using errcode = '22023';
  end if;
  v_faults := (
    select string_agg(fault, ' ' order by key)
    from jsonb_each(p_settings), memoria.setting_fault(key, value) as fault where fault is not null
  );
  if v_faults is not null then
    raise exception '%', v_faults using errcode = '22023';
  end if;
  perform memoria.keep_secret(given.key, given.value)
  from jsonb_each_text(p_settings) as given join memoria.settings on settings.key = given.key
  where type in ('url', 'secret');
  update memoria.settings set value = case when per_kind then settings.value || given.value else given.value end
  from jsonb_each(p_settings) as given
  where settings.key = given.key and type not in ('url', 'secret');
  perform memoria.schedule_sweep();
  perform memoria.allow_following();
  -- a deployment ends here: it may be the larger one that they wait for
  update memoria.jobs set run_after = clock_timestamp() where id in (
    select id from memoria.jobs
    where kind = 'cluster' and status = 'queued' and waiting and error_code = 'needs_memory'
    order by event_id for no key update skip locked
  );
  perform memoria.wake(kind) from unnest(array['process', 'cluster', 'callback']) as kind;
  return memoria.readable_settings();
end
$$;

-- Gives dead jobs all their attempts back: one, or all of a kind or of a reason. What has been done
-- by another job since, or is under way, is left alone. A thousand in one call, so that it ends in its time and
-- holds the events of no more.
create function public.memoria_requeue(
  p_job_id uuid default null, p_kind text default null, p_code text default null
) returns jsonb
language plpgsql security definer
set search_path = ''
set statement_timeout = '60s'
as $$
declare
  v_dead record;
  v_count integer := 0;
begin
  for v_dead in
    select * from (
      select jobs.id, jobs.kind, jobs.event_id, jobs.finished_at
      from memoria.jobs join memoria.events on events.id = jobs.event_id
      where jobs.status = 'failed' and (events.status = 'open' or jobs.kind = 'callback')
        and (p_job_id is null or jobs.id = p_job_id)
        and (p_kind is null or jobs.kind = p_kind)
        and (p_code is null or jobs.error_code = p_code)
        and memoria.is_undone(jobs)
      limit 1000
    ) as chosen
    order by event_id, finished_at desc
  loop
    -- it may have been archived meanwhile
    continue when (memoria.lock_event(v_dead.event_id)).status <> 'open' and v_dead.kind <> 'callback';
    v_count := v_count + memoria.revive_job(v_dead.id)::integer;
  end loop;
  perform memoria.wake(kind) from unnest(array['process', 'cluster', 'callback']) as kind;
  return jsonb_build_object('requeued', v_count);
end
$$;

-- The last nudges and what pg_net says of them; it forgets after six hours, or a crash, after which its
-- ids start anew. unanswered: beyond its timeout, so that pg_net's worker seems to stand still.
create function memoria.last_nudges(p_limit integer) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_nudges jsonb;
begin
  if to_regclass('net._http_response') is null then
    return '[]';
  end if;
  execute $query$
    select coalesce(jsonb_agg(to_jsonb(nudge) order by nudge.id desc), '[]') from (
      select d.id, d.service, d.kind, d.created_at, r.status_code, r.timed_out, r.error_msg,
        round(extract(epoch from r.created - d.created_at)::numeric, 1) as answered_after_seconds,
        r.id is null and d.request_id is not null
          and d.created_at < clock_timestamp() - make_interval(secs => memoria.number('nudge_timeout_ms')::float8 / 1000 + 10)
          and d.created_at > clock_timestamp() - interval '6 hours' as unanswered
      from memoria.dispatches as d left join net._http_response as r
        on r.id = d.request_id and r.created >= d.created_at - interval '1 second'
      order by d.id desc limit $1
    ) as nudge
  $query$ into v_nudges using p_limit;
  return v_nudges;
end
$$;

create function memoria.sweep_schedule() returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_schedule jsonb;
begin
  if to_regclass('cron.job') is not null then
    execute 'select to_jsonb(run) from (
        select schedule, active, (
          select jsonb_build_object(''status'', status, ''message'', return_message, ''at'', start_time)
          from cron.job_run_details as d where d.jobid = job.jobid order by runid desc limit 1
        ) as last_run
        from cron.job where jobname = ''memoria-sweep''
      ) as run' into v_schedule;
  end if;
  return v_schedule;
exception when others then
  return null;  -- not ours to read
end
$$;

create function memoria.applied_migrations() returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_versions jsonb;
begin
  if to_regclass('supabase_migrations.schema_migrations') is not null then
    execute 'select jsonb_agg(version order by version) from supabase_migrations.schema_migrations'
      into v_versions;
  end if;
  return coalesce(v_versions, '[]');
end
$$;

-- {name: why Vault cannot read it}.
create function memoria.vault_faults() returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_object_agg(key, fault), '{}')
  from memoria.settings, lateral (select (memoria.vault_value(key)).fault) as asked
  where type in ('url', 'secret') and fault is not null
$$;

create function public.memoria_doctor() returns jsonb
language sql stable security definer
set search_path = ''
set statement_timeout = '30s'
as $$
  select jsonb_build_object(
    'postgres', current_setting('server_version'),
    'migrations', memoria.applied_migrations(),
    'agreement', memoria.agreement(),
    'extensions', (
      select coalesce(jsonb_object_agg(extname, extversion), '{}') from pg_extension
      where extname in ('vector', 'pg_net', 'pg_cron', 'supabase_vault')
    ),
    'pg_net', to_regprocedure('net.http_post(text, jsonb, jsonb, jsonb, integer)') is not null,
    'vault', to_regclass('vault.decrypted_secrets') is not null,
    'vault_faults', memoria.vault_faults(),
    'cron', memoria.sweep_schedule(),
    'cron_error', (select schedule_error from memoria.sweeps),
    'realtime', jsonb_build_object(
      'sends', to_regprocedure('realtime.send(jsonb, text, text, boolean)') is not null,
      'may_be_followed', memoria.following_is_allowed()
    ),
    'needs_memory', (
      select jsonb_build_object(
        'events', count(*), 'last_message', (array_agg(error_message order by waiting_since desc))[1]
      )
      from memoria.jobs
      where kind = 'cluster' and waiting and finished_at is null and error_code = 'needs_memory'
    ),
    'swept_at', (select nullif(swept_at, '-infinity') from memoria.sweeps),
    'settings', memoria.readable_settings(),
    'last_nudges', memoria.last_nudges(20),
    'search', (
      select jsonb_build_object('open_links', count(*), 'without_urls', count(*) filter (where exists (
        select from memoria.media where event_id = link.event_id and bucket like 'gs://%'
      )))
      from memoria.search_links as link where revoked_at is null and expires_at > now() and user_id is null
    ),
    'followed', (select coalesce(jsonb_agg(relation order by relation), '[]') from memoria.followed),
    'not_handed_over', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'table', relation, 'code', code, 'failed', failed, 'rows', rows, 'last_message', last_message
      ) order by relation, code), '[]')
      from (
        select relation, code, failed, count(distinct row_id) as rows,
          (array_agg(message order by id desc))[1] as last_message
        from memoria.hand_overs group by relation, code, failed
        union all
        -- which rows, nobody knows
        select relation, 'broken', true, 0, reason from memoria.broken_follows
      ) as told
    )
  )
$$;

-- Each on its own: what one extension refuses must not undo the other.
do $$
begin
  if exists (select from pg_available_extensions where name = 'pg_net') then
    create extension if not exists pg_net with schema extensions;
  end if;
exception when others then
  raise notice 'memoria: enable pg_net in the dashboard: %', sqlerrm;
end
$$;

do $$
begin
  if exists (select from pg_available_extensions where name = 'pg_cron') then
    create extension if not exists pg_cron;
  end if;
exception when others then
  raise notice 'memoria: enable pg_cron in the dashboard, then call memoria_configure: %', sqlerrm;
end
$$;

do $$
begin
  perform memoria.schedule_sweep();
  perform memoria.allow_following();
end
$$;

-- 99_grants.sql

-- Who may call what. Nothing of ours is open to anybody by default: new functions are, until this
-- file takes that back, so it comes last.

revoke all on all tables in schema memoria from public, anon, authenticated, service_role;
revoke all on all sequences in schema memoria from public, anon, authenticated, service_role;
revoke all on all functions in schema memoria from public, anon, authenticated, service_role;

do $$
declare
  v_function regprocedure;
begin
  for v_function in
    select oid from pg_proc where pronamespace = 'public'::regnamespace and proname like 'memoria\_%'
  loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', v_function);
  end loop;
end
$$;

-- In a migration of the app, as the schema's owner: memoria_follow, memoria_unfollow.

-- Workers and operators.
grant execute on function
  public.memoria_claim(text, text, text, text),
  public.memoria_heartbeat(uuid, uuid),
  public.memoria_fail(uuid, uuid, text, text, text),
  public.memoria_complete_media(uuid, uuid, jsonb),
  public.memoria_complete_callback(uuid, uuid),
  public.memoria_load_faces(text, uuid, integer),
  public.memoria_load_people(text),
  public.memoria_save_people(uuid, uuid, jsonb),
  public.memoria_sweep_if_due(),
  public.memoria_sweep(),
  public.memoria_status(),
  public.memoria_configure(jsonb),
  public.memoria_requeue(uuid, text, text),
  public.memoria_doctor(),
  public.memoria_begin_search(text, text, text, text),
  public.memoria_refuse_search(uuid, text),
  public.memoria_search(uuid, extensions.vector, text, jsonb),
  public.memoria_search_again(uuid, text, text, text),
  public.memoria_request_removal(uuid, text, text, text)
to service_role;

-- The app's backend, and its users as far as the rules of 04_rights.sql let them.
grant execute on function
  public.memoria_create_event(text, uuid),
  public.memoria_set_owner(text, uuid),
  public.memoria_add_member(text, uuid, text),
  public.memoria_remove_member(text, uuid),
  public.memoria_members(text, jsonb, integer),
  public.memoria_event_status(text),
  public.memoria_archive_event(text),
  public.memoria_reopen_event(text),
  public.memoria_delete_event(text),
  public.memoria_recluster(text),
  public.memoria_reprocess(text),
  public.memoria_enqueue(text, text, text, text, text),
  public.memoria_enqueue_many(text, jsonb),
  public.memoria_delete_media(text),
  public.memoria_people(text, jsonb, integer, boolean, text),
  public.memoria_person_photos(uuid, jsonb, integer),
  public.memoria_photos_with(text, uuid[], text, jsonb, integer),
  public.memoria_photo(text),
  public.memoria_media(text, jsonb, integer, text),
  public.memoria_unassigned_faces(text, jsonb, integer),
  public.memoria_history(text, uuid, jsonb, integer),
  public.memoria_undo(bigint),
  public.memoria_assign_face(uuid, uuid),
  public.memoria_reject_face(uuid, uuid),
  public.memoria_reject_faces(uuid, uuid[]),
  public.memoria_merge_people(uuid, uuid[]),
  public.memoria_tell_apart(uuid, uuid),
  public.memoria_suggestions(text, text, uuid, integer),
  public.memoria_answer_suggestion(uuid, text, uuid),
  public.memoria_set_cover(uuid, uuid),
  public.memoria_dismiss_face(uuid),
  public.memoria_add_face(text, jsonb, uuid),
  public.memoria_split_person(uuid, uuid[]),
  public.memoria_rename_person(uuid, text),
  public.memoria_hide_person(uuid, boolean),
  public.memoria_forget_person(uuid),
  public.memoria_create_search_link(text, jsonb),
  public.memoria_search_links(text, jsonb, integer),
  public.memoria_revoke_search_link(uuid),
  public.memoria_searches(text, integer),
  public.memoria_set_retention(text, integer),
  public.memoria_open_search(text, text),
  public.memoria_may_follow(text)
to authenticated, service_role;
