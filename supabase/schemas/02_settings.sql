-- Settings, changed with public.memoria_configure: each has a type, a least and a most.

create table memoria.settings (
  key text primary key,
  value jsonb not null,
  -- whole, number, boolean or text
  type text not null,
  least numeric,
  most numeric,
  -- one value for each of process, cluster and callback
  per_kind boolean not null default false,
  constraint settings_type_known check (type in ('whole', 'number', 'boolean', 'text', 'url', 'secret')),
  constraint settings_numbers_have_limits check (
    (type in ('whole', 'number')) = (least is not null and most is not null)
  )
);
alter table memoria.settings enable row level security;

insert into memoria.settings (key, value, type, least, most, per_kind) values
  ('max_in_flight', '{"process": 32, "cluster": 2, "callback": 16}', 'whole', 0, 10000, true),
  -- failures that the work itself causes, before the dead end
  ('max_attempts', '{"process": 5, "cluster": 5, "callback": 10}', 'whole', 1, 100, true),
  -- workers that may die over one job: counted apart, since most deaths are nobody's fault
  ('max_deaths', '10', 'whole', 1, 100, false),
  -- how long an outage outside is ridden out
  ('outside_patience_hours', '72', 'number', 0.01, 8760, false),
  -- how long a running worker may stay silent; it extends its lease with a heartbeat
  ('run_lease_seconds', '{"process": 120, "cluster": 300, "callback": 60}', 'number', 1, 86400, true),
  -- how long a nudge may take to arrive before its slot goes to another
  ('dispatch_lease_seconds', '60', 'number', 1, 3600, false),
  ('backoff_first_seconds', '5', 'number', 0.01, 3600, false),
  ('backoff_most_seconds', '900', 'number', 0.01, 86400, false),
  ('outside_backoff_most_seconds', '1800', 'number', 0.01, 86400, false),
  -- an object may be uploaded after its row, and permissions take minutes to arrive
  ('young_seconds', '600', 'number', 0, 86400, false),
  -- guests upload one by one: wait this long after the last photo before clustering
  ('quiet_period_seconds', '10', 'number', 0, 86400, false),
  -- but no longer than this after the first photo that is not grouped, doubling up to the most
  ('cluster_wait_seconds', '60', 'number', 0, 86400, false),
  ('cluster_wait_most_seconds', '900', 'number', 0, 86400, false),
  ('max_pending_per_owner', '100000', 'whole', 1, 100000000, false),
  ('callbacks', 'true', 'boolean', null, null, false),
  -- pg_net waits for the slowest of a batch, and takes 0 for no timeout at all
  ('nudge_timeout_ms', '5000', 'whole', 100, 60000, false),
  ('sweep_seconds', '30', 'number', 1, 3600, false),
  ('keep_dispatches_hours', '24', 'number', 0.1, 8760, false),
  -- search by selfie: the version of the text that guests accept, the audit, and a limit for each event
  ('search_consent_version', '"1"', 'text', null, null, false),
  ('keep_searches_days', '30', 'whole', 1, 3650, false),
  ('searches_per_minute', '600', 'whole', 1, 100000, false),
  -- where there is no Vault; Vault's memoria_process_url, … win over these
  ('process_url', 'null', 'url', null, null, false),
  ('cluster_url', 'null', 'url', null, null, false),
  ('webhook_secret', 'null', 'secret', null, null, false);

create function memoria.setting(p_key text) returns jsonb
language sql stable set search_path = '' as $$
  select value from memoria.settings where key = p_key
$$;

create function memoria.setting_of(p_key text, p_kind text) returns numeric
language sql stable set search_path = '' as $$
  select (value ->> p_kind)::numeric from memoria.settings where key = p_key
$$;

create function memoria.number(p_key text) returns numeric
language sql stable set search_path = '' as $$
  select (value #>> '{}')::numeric from memoria.settings where key = p_key
$$;

create function memoria.seconds(p_key text) returns interval
language sql stable set search_path = '' as $$
  select make_interval(secs => (value #>> '{}')::double precision) from memoria.settings where key = p_key
$$;

create function memoria.seconds_of(p_key text, p_kind text) returns interval
language sql stable set search_path = '' as $$
  select make_interval(secs => (value ->> p_kind)::double precision) from memoria.settings where key = p_key
$$;

-- What Vault says of a value; null where there is no Vault, or none that can be decrypted.
create function memoria.vault_value(p_name text, out value text, out fault text)
language plpgsql stable set search_path = '' as $$
begin
  if to_regclass('vault.decrypted_secrets') is not null then
    execute 'select decrypted_secret from vault.decrypted_secrets where name = $1'
      into value using 'memoria_' || p_name;
  end if;
exception when others then
  -- after its root key changed, every read raises
  value := null;
  fault := sqlerrm;
end
$$;

-- A URL or the secret: Vault's where there is a Vault that has it, else the setting.
create function memoria.secret(p_name text) returns text
language sql stable set search_path = '' as $$
  select coalesce((memoria.vault_value(p_name)).value, memoria.setting(p_name) #>> '{}')
$$;

-- Why one number cannot be that setting's, or null.
create function memoria.number_fault(p_name text, p_value jsonb, p_setting memoria.settings) returns text
language sql stable set search_path = '' as $$
  select case
    when jsonb_typeof(p_value) <> 'number' then format('%s must be a number.', p_name)
    when p_value::numeric not between p_setting.least and p_setting.most
      then format('%s must be from %s to %s.', p_name, p_setting.least, p_setting.most)
    when p_setting.type = 'whole' and p_value::numeric <> trunc(p_value::numeric)
      then format('%s must be a whole number.', p_name)
  end
$$;

-- Why a value cannot be that setting's, or null.
create function memoria.setting_fault(p_key text, p_value jsonb) returns text
language plpgsql stable set search_path = '' as $$
declare
  v_setting memoria.settings;
  v_text text := p_value #>> '{}';
begin
  select * into v_setting from memoria.settings where key = p_key;
  if not found then
    return format('There is no setting %s.', p_key);
  elsif v_setting.per_kind then
    if jsonb_typeof(p_value) <> 'object' or exists (
      select from jsonb_object_keys(p_value) as kind where kind not in ('process', 'cluster', 'callback')
    ) then
      return format('%s takes a number for process, cluster or callback.', p_key);
    end if;
    return (
      select string_agg(memoria.number_fault(p_key || '.' || kind, number, v_setting), ' ' order by kind)
      from jsonb_each(p_value) as given (kind, number)
    );
  elsif v_setting.type in ('whole', 'number') then
    return memoria.number_fault(p_key, p_value, v_setting);
  elsif v_setting.type = 'boolean' then
    return case when jsonb_typeof(p_value) <> 'boolean' then format('%s must be a boolean.', p_key) end;
  elsif p_value = 'null' then
    return case when v_setting.type = 'text' then format('%s must be text.', p_key) end;
  elsif jsonb_typeof(p_value) <> 'string' then
    return format('%s must be text.', p_key);
  elsif v_setting.type = 'url' and v_text !~ '^https?://[^/?#[:space:][:cntrl:]]+([/?#][^[:space:][:cntrl:]]*)?$' then
    return format('%s must be an http or https URL.', p_key);
  elsif v_setting.type = 'secret' and v_text like 'whsec\_%'
    and v_text !~ '^whsec_([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}[A-Za-z0-9+/=]=|[A-Za-z0-9+/]{4})$' then
    return format('%s must be base64 after whsec_.', p_key);
  elsif v_text = '' then
    return format('%s must not be empty.', p_key);
  elsif char_length(v_text) > 4096 then
    return format('%s must be at most 4096 characters.', p_key);
  end if;
  return null;
end
$$;
