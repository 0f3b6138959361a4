-- What an operator does: settings, another try for what is dead, the schedule, a look at the wiring.

-- Schedules the sweeper where pg_cron is there; the same name replaces, so it may be called again.
create function memoria.schedule_sweep() returns boolean
language plpgsql set search_path = '' as $$
begin
  if to_regprocedure('cron.schedule(text, text, text)') is null then
    return false;
  end if;
  execute 'select cron.schedule($1, $2, $3)'
    using 'memoria-sweep', '30 seconds', 'select public.memoria_sweep()';
  -- pg_cron keeps a row per run for ever
  execute 'select cron.schedule($1, $2, $3)' using 'memoria-prune-cron', '17 3 * * *',
    'delete from cron.job_run_details where end_time < now() - interval ''2 days'' and jobid in '
    '(select jobid from cron.job where jobname like ''memoria-%'')';
  return true;
end
$$;

do $$
declare
  v_extension text;
begin
  foreach v_extension in array array['pg_net', 'pg_cron'] loop
    if exists (select from pg_available_extensions where name = v_extension) then
      execute format('create extension if not exists %I', v_extension);
    end if;
  end loop;
  perform memoria.schedule_sweep();
exception when others then
  raise notice 'memoria: enable pg_net and pg_cron in the dashboard, then call memoria_configure: %', sqlerrm;
end
$$;

-- Why a value cannot be that setting's, or null.
create function memoria.setting_fault(p_key text, p_value jsonb) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_known jsonb := memoria.setting(p_key);
begin
  if v_known is null then
    return format('There is no setting %s.', p_key);
  elsif p_key like '%\_url' and not (p_value = 'null' or (p_value #>> '{}') ~ '^https?://') then
    return format('%s must be an http or https URL.', p_key);
  elsif p_key = 'webhook_secret' and (p_value #>> '{}') like 'whsec\_%'
    and (p_value #>> '{}') !~ '^whsec_([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}[A-Za-z0-9+/=]=|[A-Za-z0-9+/]{4})$' then
    return 'webhook_secret must be base64 after whsec_.';
  elsif p_key in ('process_url', 'cluster_url', 'webhook_secret') then
    return case when jsonb_typeof(p_value) not in ('string', 'null') then p_key || ' must be text.' end;
  elsif jsonb_typeof(p_value) <> jsonb_typeof(v_known) then
    return format('%s must be a %s.', p_key, jsonb_typeof(v_known));
  elsif jsonb_typeof(p_value) = 'number' and p_value::numeric < 0 then
    return format('%s must not be negative.', p_key);
  elsif jsonb_typeof(p_value) = 'object' and exists (
    select from jsonb_each(p_value)
    where key not in ('process', 'cluster', 'callback') or jsonb_typeof(value) <> 'number' or value::numeric < 0
  ) then
    return format('%s takes a number for process, cluster or callback.', p_key);
  end if;
  return null;
end
$$;

create function memoria.keep_secret(p_name text, p_value text) returns void
language plpgsql set search_path = '' as $$
declare
  v_id uuid;
begin
  if to_regprocedure('vault.create_secret(text, text, text, uuid)') is null
    and to_regprocedure('vault.create_secret(text, text, text)') is null then
    update memoria.settings set value = coalesce(to_jsonb(p_value), 'null') where key = p_name;
    return;
  end if;
  execute 'select id from vault.secrets where name = $1' into v_id using 'memoria_' || p_name;
  if v_id is not null and p_value is null then
    execute 'delete from vault.secrets where id = $1' using v_id;
  elsif v_id is not null then
    execute 'select vault.update_secret($1, $2)' using v_id, p_value;
  elsif p_value is not null then
    execute 'select vault.create_secret($1, $2)' using p_value, 'memoria_' || p_name;
  end if;
end
$$;

-- Every setting but the secret itself.
create function memoria.readable_settings() returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_object_agg(key, value) || jsonb_build_object(
    'process_url', memoria.secret('process_url'),
    'cluster_url', memoria.secret('cluster_url'),
    'webhook_secret', case when memoria.secret('webhook_secret') is null then 'not set' else 'set' end
  )
  from memoria.settings
$$;

create function public.memoria_configure(p_settings jsonb) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_faults text := (
    select string_agg(fault, ' ' order by key)
    from jsonb_each(p_settings), memoria.setting_fault(key, value) as fault where fault is not null
  );
begin
  if v_faults is not null then
    raise exception '%', v_faults using errcode = '22023';
  end if;
  perform memoria.keep_secret(key, value) from jsonb_each_text(p_settings)
  where key in ('process_url', 'cluster_url', 'webhook_secret');
  update memoria.settings set value = case
    when jsonb_typeof(given.value) = 'object' then settings.value || given.value else given.value
  end
  from jsonb_each(p_settings) as given
  where settings.key = given.key and given.key not in ('process_url', 'cluster_url', 'webhook_secret');
  perform memoria.schedule_sweep();
  perform memoria.wake(kind) from unnest(array['process', 'cluster', 'callback']) as kind;
  return memoria.readable_settings();
end
$$;

-- Gives dead jobs all their attempts back: one, or all of a kind or of a reason. What has been done
-- by another job since, or is under way, is left alone.
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
    select jobs.id, jobs.kind, jobs.event_id, jobs.media_id
    from memoria.jobs join memoria.events on events.id = jobs.event_id
    where jobs.status = 'failed' and events.status = 'open'
      and (p_job_id is null or jobs.id = p_job_id)
      and (p_kind is null or jobs.kind = p_kind)
      and (p_code is null or jobs.error_code = p_code)
    order by jobs.event_id, jobs.finished_at desc
  loop
    perform memoria.lock_event(v_dead.event_id);
    update memoria.jobs set
      status = 'queued', attempts = 0, run_after = clock_timestamp(), finished_at = null
    where id = v_dead.id and status = 'failed' and (kind = 'callback' or not exists (
      select from memoria.jobs as other
      where other.id <> v_dead.id and other.kind = v_dead.kind and other.event_id = v_dead.event_id
        and other.media_id is not distinct from v_dead.media_id
        and (other.status in ('queued', 'dispatched', 'running') or other.finished_at > jobs.finished_at)
    ));
    continue when not found;
    v_count := v_count + 1;
    update memoria.media set status = 'pending', completed_at = null, error_code = null, error_message = null
    where v_dead.kind = 'process' and id = v_dead.media_id;
  end loop;
  perform memoria.wake(kind) from unnest(array['process', 'cluster', 'callback']) as kind;
  return jsonb_build_object('requeued', v_count);
end
$$;

-- The last nudges and what pg_net says of them; pg_net forgets after six hours, or a crash.
create function memoria.last_nudges(p_limit integer) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_nudges jsonb;
begin
  if to_regclass('net._http_response') is null then
    return '[]';
  end if;
  execute 'select coalesce(jsonb_agg(to_jsonb(nudge) order by nudge.id desc), ''[]'') from (
      select d.id, d.service, d.kind, d.created_at, r.status_code, r.timed_out, r.error_msg
      from memoria.dispatches as d left join net._http_response as r on r.id = d.request_id
      order by d.id desc limit $1
    ) as nudge' into v_nudges using p_limit;
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

create function public.memoria_doctor() returns jsonb
language sql stable security definer
set search_path = ''
set statement_timeout = '30s'
as $$
  select jsonb_build_object(
    'postgres', current_setting('server_version'),
    'migrations', memoria.applied_migrations(),
    'extensions', (
      select coalesce(jsonb_object_agg(extname, extversion), '{}') from pg_extension
      where extname in ('vector', 'pg_net', 'pg_cron', 'supabase_vault')
    ),
    'pg_net', to_regprocedure('net.http_post(text, jsonb, jsonb, jsonb, integer)') is not null,
    'vault', to_regclass('vault.decrypted_secrets') is not null,
    'cron', memoria.sweep_schedule(),
    'settings', memoria.readable_settings(),
    'last_nudges', memoria.last_nudges(20)
  )
$$;

revoke all on all functions in schema memoria from public, anon, authenticated, service_role;
revoke all on function
  public.memoria_configure(jsonb), public.memoria_requeue(uuid, text, text), public.memoria_doctor()
from public, anon, authenticated;
grant execute on function
  public.memoria_configure(jsonb), public.memoria_requeue(uuid, text, text), public.memoria_doctor()
to service_role;
