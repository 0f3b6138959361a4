-- What an operator sees of the queue.

create view memoria.queue_depth with (security_invoker = true) as
  select kind, status, count(*) as jobs, min(created_at) as oldest_at
  from memoria.jobs group by kind, status;

create view memoria.oldest_waiting with (security_invoker = true) as
  select distinct on (kind) kind, id as job_id, event_id, media_id, attempts, created_at, error_code
  from memoria.jobs where status = 'queued' and run_after <= clock_timestamp()
  order by kind, created_at;

create view memoria.failures with (security_invoker = true) as
  select kind, error_code, count(*) as jobs, max(finished_at) as last_at,
    (array_agg(error_message order by finished_at desc))[1] as last_message
  from memoria.jobs where status = 'failed' group by kind, error_code;

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
        'kind', kind, 'job_id', job_id, 'event_id', event_id, 'media_id', media_id, 'attempts', attempts,
        'seconds', round(extract(epoch from clock_timestamp() - created_at)), 'code', error_code
      ) order by kind), '[]') from memoria.oldest_waiting
    ),
    'failures', (
      select coalesce(jsonb_agg(jsonb_build_object(
        'kind', kind, 'code', error_code, 'jobs', jobs, 'last_at', last_at, 'last_message', last_message
      ) order by jobs desc, kind, error_code), '[]') from memoria.failures
    )
  )
$$;

revoke all on all tables in schema memoria from public, anon, authenticated, service_role;
revoke all on function public.memoria_status() from public, anon, authenticated;
grant execute on function public.memoria_status() to service_role;
