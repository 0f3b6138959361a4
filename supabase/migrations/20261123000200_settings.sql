-- Settings, changed with public.memoria_configure. A value is a number, a boolean, a string, or one
-- number per kind of work.

insert into memoria.settings (key, value) values
  ('max_in_flight', '{"process": 32, "cluster": 2, "callback": 16}'),
  ('max_attempts', '{"process": 5, "cluster": 5, "callback": 10}'),
  -- how long a running worker may stay silent; it extends its lease with a heartbeat
  ('run_lease_seconds', '{"process": 120, "cluster": 300, "callback": 60}'),
  -- how long a nudge may take to arrive before its slot goes to another
  ('dispatch_lease_seconds', '60'),
  ('backoff_first_seconds', '5'),
  ('backoff_most_seconds', '900'),
  -- guests upload one by one: wait this long after the last photo before clustering
  ('quiet_period_seconds', '10'),
  ('callbacks', 'true'),
  -- pg_net waits for the slowest of a batch: this bounds how long one slow answer stalls all others
  ('nudge_timeout_ms', '5000'),
  ('keep_dispatches_hours', '24'),
  -- where there is no Vault; Vault's memoria_process_url, … win over these
  ('process_url', 'null'),
  ('cluster_url', 'null'),
  ('webhook_secret', 'null');

create function memoria.setting(p_key text) returns jsonb
language sql stable set search_path = '' as $$
  select value from memoria.settings where key = p_key
$$;

create function memoria.setting_of(p_key text, p_kind text) returns numeric
language sql stable set search_path = '' as $$
  select (value ->> p_kind)::numeric from memoria.settings where key = p_key
$$;

create function memoria.seconds(p_key text) returns interval
language sql stable set search_path = '' as $$
  select make_interval(secs => (value #>> '{}')::double precision) from memoria.settings where key = p_key
$$;

-- A URL or the secret: Vault's where there is a Vault that has it, else the setting.
create function memoria.secret(p_name text) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_value text;
begin
  if to_regclass('vault.decrypted_secrets') is not null then
    execute 'select decrypted_secret from vault.decrypted_secrets where name = $1'
      into v_value using 'memoria_' || p_name;
  end if;
  return coalesce(v_value, memoria.setting(p_name) #>> '{}');
end
$$;

revoke all on all functions in schema memoria from public, anon, authenticated, service_role;
