-- Pacing: queued jobs become nudges, never more than max_in_flight per kind of work.
--
-- Whoever makes room or work calls memoria.wake(kind); the dispatching itself happens at the commit,
-- when every other lock is taken already, so that the dispatcher's row is always the last in order.

create table memoria.dispatcher (
  only_one boolean primary key default true,
  constraint dispatcher_is_one_row check (only_one)
);
insert into memoria.dispatcher default values;
alter table memoria.dispatcher enable row level security;

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

-- The next jobs, fairly between events: who has the least in flight, then who was served longest ago.
-- Waiting events are found by skipping through the index, so that a queue of 10,000 costs no more
-- than a queue of ten.
create function memoria.next_jobs(p_kind text, p_limit integer, p_now timestamptz) returns uuid[]
language sql stable set search_path = '' as $$
  with recursive waiting as (
    (
      select event_id from memoria.jobs
      where kind = p_kind and status = 'queued' order by event_id limit 1
    )
    union all
    select (
      select event_id from memoria.jobs
      where kind = p_kind and status = 'queued' and event_id > waiting.event_id
      order by event_id limit 1
    )
    from waiting where event_id is not null
  ), events as (
    select
      event_id,
      (
        select count(*) from memoria.jobs
        where kind = p_kind and event_id = waiting.event_id and status in ('dispatched', 'running')
      ) as in_flight,
      (
        select max(id) from memoria.dispatches
        where kind = p_kind and event_id = waiting.event_id
      ) as served
    from waiting join memoria.events on events.id = waiting.event_id
    where events.status = 'open'
  ), turns as (
    select due.id, events.served, due.run_after,
      events.in_flight + row_number() over (partition by events.event_id order by due.run_after, due.id) as turn
    from events, lateral (
      select id, run_after from memoria.jobs
      where kind = p_kind and event_id = events.event_id and status = 'queued' and run_after <= p_now
      order by run_after, id limit p_limit
    ) as due
    where p_kind <> 'cluster' or (
      -- a run waits for the event's photos, and for the run before it
      events.in_flight = 0
      and not exists (
        select from memoria.media where event_id = events.event_id and status = 'pending'
      )
    )
  ), chosen as (
    select * from turns order by turn, served nulls first, run_after, id limit p_limit
  )
  select coalesce(array_agg(id order by turn, served nulls first, run_after, id), '{}') from chosen
$$;

-- Fills the free places of one kind. Returns how many nudges were written. A nudge holds its place
-- for the short dispatch lease; no attempt is counted before a worker claims the job.
create function memoria.dispatch(p_kind text) returns integer
language plpgsql security definer
set search_path = ''
-- a plan made while the queue was empty must serve when it is full
set enable_seqscan = off
as $$
declare
  v_now timestamptz;
  v_free integer;
  v_chosen uuid[];
  v_sent integer;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    return 0;  -- an old snapshot cannot count what is in flight: the sweeper can
  end if;
  perform from memoria.dispatcher for no key update;
  v_now := clock_timestamp();
  v_free := memoria.setting_of('max_in_flight', p_kind) - memoria.in_flight(p_kind);
  if v_free <= 0 then
    return 0;
  end if;
  v_chosen := memoria.next_jobs(p_kind, v_free, v_now);
  with taken as (
    -- whoever holds the dispatcher waits for nobody
    select id from memoria.jobs
    where id = any (v_chosen) and status = 'queued'
    for no key update skip locked
  ), sent as (
    update memoria.jobs
    set status = 'dispatched', leased_until = v_now + memoria.seconds('dispatch_lease_seconds')
    from taken where jobs.id = taken.id
    returning jobs.id, jobs.kind, jobs.event_id, jobs.media_id
  )
  insert into memoria.dispatches (service, kind, job_id, event_id, media_id)
  select
    -- a callback is delivered by the service that did the work
    case when media_id is null then 'cluster' else 'process' end,
    kind, id, event_id, media_id
  from sent order by array_position(v_chosen, id);
  get diagnostics v_sent = row_count;
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
        (memoria.setting('nudge_timeout_ms') #>> '{}')::integer;
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

-- A bulk insert of photos costs one statement more, however many rows it has.
create function memoria.queue_inserted_media() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into memoria.jobs (kind, event_id, media_id, max_attempts)
  select 'process', event_id, id, (select memoria.setting_of('max_attempts', 'process'))
  from inserted where status = 'pending';
  perform memoria.wake('process');
  return null;
end
$$;

create trigger queue_inserted_media
  after insert on memoria.media
  referencing new table as inserted
  for each statement execute function memoria.queue_inserted_media();

revoke all on all tables in schema memoria from public, anon, authenticated, service_role;
revoke all on all functions in schema memoria from public, anon, authenticated, service_role;
