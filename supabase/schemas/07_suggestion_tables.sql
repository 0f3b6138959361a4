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
