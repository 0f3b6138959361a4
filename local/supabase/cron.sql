-- A stand-in for pg_cron; local/supabase/cron.py runs the jobs. Runs as supabase_admin.

create schema cron;

create table cron.job (
  jobid bigint generated always as identity primary key,
  schedule text not null,
  command text not null,
  nodename text not null default 'localhost',
  nodeport integer not null default 5432,
  database text not null default current_database(),
  username text not null default current_user,
  active boolean not null default true,
  jobname text,
  unique (jobname, username)
);

-- Never pruned, as the real one.
create table cron.job_run_details (
  jobid bigint,
  runid bigint generated always as identity primary key,
  job_pid integer,
  database text,
  username text,
  command text,
  status text,
  return_message text,
  start_time timestamptz,
  end_time timestamptz
);

-- pg_cron before 1.5 knows no seconds. A test replaces this to have such a one.
create function cron._knows_seconds() returns boolean language sql as $$ select true $$;

create function cron._is_schedule(p_schedule text) returns boolean
language sql set search_path = '' as $$
  select case
    when p_schedule ~ '^[1-9]\d? seconds?$'
      then cron._knows_seconds() and split_part(p_schedule, ' ', 1)::integer <= 59
    else p_schedule ~ '^\s*([0-9*/,-]+\s+){4}[0-9*/,-]+\s*$'
  end
$$;

create function cron.schedule(job_name text, schedule text, command text) returns bigint
language plpgsql set search_path = '' as $$
#variable_conflict use_column
declare
  v_id bigint;
begin
  if not cron._is_schedule($2) then
    raise exception 'invalid schedule: %', $2
      using hint = 'Use cron format (e.g. 5 4 * * *), or interval format ''[1-59] seconds''';
  end if;
  insert into cron.job (jobname, schedule, command) values ($1, $2, $3)
  on conflict (jobname, username) do update set schedule = excluded.schedule, command = excluded.command
  returning jobid into v_id;
  return v_id;
end
$$;

create function cron.unschedule(job_name text) returns boolean
language plpgsql set search_path = '' as $$
begin
  delete from cron.job where jobname = job_name and username = current_user;
  if not found then
    raise exception 'could not find valid entry for job ''%''', job_name;
  end if;
  return true;
end
$$;

revoke all on all functions in schema cron from public;
grant usage on schema cron to postgres;
grant all on all tables in schema cron to postgres;
grant execute on all functions in schema cron to postgres;
