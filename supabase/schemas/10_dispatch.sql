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
