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
      when not memoria.is_unique(to_regclass(relation), columns ->> 'id')
        then 'Two of its rows may have one id: give that column alone a primary key or a unique index.'
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
