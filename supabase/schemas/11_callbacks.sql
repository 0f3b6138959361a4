-- The outbox: a finished job owes the app one POST, which is a job too.

create function memoria.face_box(f memoria.faces) returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object('x', f.x, 'y', f.y, 'w', f.w, 'h', f.h)
$$;

create function memoria.named_landmarks(p_points real[]) returns jsonb
language sql immutable set search_path = '' as $$
  select case when p_points is not null then
    jsonb_object_agg(name, jsonb_build_object('x', p_points[2 * n - 1], 'y', p_points[2 * n]))
  end
  from unnest(array['left_eye', 'right_eye', 'nose', 'mouth_left', 'mouth_right'])
    with ordinality as point(name, n)
$$;

-- How the event's photos stood when they were last counted, a second ago at most or when none was pending
-- any more; in an event of more than 10,000 photos a little longer.
create function memoria.last_counts(p_event_id text) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(counts, memoria.photo_counts(id)) from memoria.events where id = p_event_id
$$;

-- What a failed job's callback tells.
create function memoria.failure_payload(p_job memoria.jobs, p_code text, p_message text) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'job_id', p_job.id, 'event_id', p_job.event_id, 'status', 'failed',
    'photos', memoria.last_counts(p_job.event_id),
    'error', jsonb_build_object('code', p_code, 'message', p_message)
  ) || case p_job.kind
    when 'process' then jsonb_build_object(
      'media_id', p_job.media_id, 'faces_detected', 0, 'faces', '[]'::jsonb
    )
    else '{"total_faces": 0, "clusters_created": 0, "noise_faces": 0, "clusters": []}'::jsonb
  end
$$;

-- Writes the callback that tells p_payload. It starts out dispatched to the worker that finished the
-- job, who tries once after its commit; when the lease runs out it is nudged like any other job.
-- Without a worker at hand (p_at_once) it is queued. Returns null where callbacks are off.
create function memoria.owe_callback(p_job_id uuid, p_payload jsonb, p_at_once boolean default false)
returns uuid
language plpgsql set search_path = '' as $$
declare
  v_callback uuid;
begin
  if memoria.setting('callbacks') = 'false' then
    return null;
  end if;
  insert into memoria.jobs
    (kind, event_id, media_id, source_job_id, status, leased_until, max_attempts, payload)
  select
    'callback', event_id, media_id, id,
    case when p_at_once then 'queued' else 'dispatched' end,
    case when not p_at_once then clock_timestamp() + memoria.seconds('dispatch_lease_seconds') end,
    memoria.setting_of('max_attempts', 'callback'), p_payload
  from memoria.jobs where id = p_job_id
  returning id into v_callback;
  return v_callback;
end
$$;
