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
