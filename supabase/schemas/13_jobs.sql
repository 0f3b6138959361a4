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
