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
