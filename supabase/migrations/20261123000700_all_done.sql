-- When the last photo of an event is done, its faces are clustered.

-- Queues the event's next cluster job, or postpones the one that waits already: guests who upload one
-- by one push it ahead of them. The event row is locked by the caller.
create function memoria.queue_cluster(p_event_id text, p_delay interval) returns uuid
language plpgsql set search_path = '' as $$
declare
  v_job uuid;
begin
  insert into memoria.jobs (kind, event_id, max_attempts, run_after)
  values (
    'cluster', p_event_id, memoria.setting_of('max_attempts', 'cluster'), clock_timestamp() + p_delay
  )
  on conflict (event_id) where kind = 'cluster' and status in ('queued', 'dispatched')
  do update set status = 'queued', leased_until = null, run_after = excluded.run_after
  returning id into v_job;
  perform memoria.wake('cluster');
  return v_job;
end
$$;

-- Called when a photo of the event came to its end, with the event row locked before counting: of two
-- last photos at the same instant, the second sees the first.
create function memoria.settle_event(p_event_id text) returns void
language plpgsql set search_path = '' as $$
begin
  if not exists (select from memoria.media where event_id = p_event_id and status = 'pending') then
    perform memoria.queue_cluster(p_event_id, memoria.seconds('quiet_period_seconds'));
  end if;
end
$$;

revoke all on all functions in schema memoria from public, anon, authenticated, service_role;
