-- A stand-in for supabase_vault, as far as Memoria can tell the difference. It seals and does not encrypt:
-- nothing is kept from whoever reads the table. Runs as supabase_admin.

create schema vault;
grant usage on schema vault to postgres, service_role;

create table vault.secrets (
  id uuid primary key default gen_random_uuid(),
  name text,
  description text not null default '',
  secret text not null,
  key_id uuid,
  nonce bytea default decode(replace(gen_random_uuid()::text, '-', ''), 'hex'),
  created_at timestamptz not null default current_timestamp,
  updated_at timestamptz not null default current_timestamp
);
create unique index secrets_name_idx on vault.secrets (name) where name is not null;

create table vault._root_key (key bytea not null);
insert into vault._root_key values (sha256(convert_to(gen_random_uuid()::text, 'UTF8')));

create function vault._seal(p_secret text, p_nonce bytea) returns text
language sql stable security definer set search_path = '' as $$
  select encode(sha256(key || p_nonce || convert_to(p_secret, 'UTF8')) || convert_to(p_secret, 'UTF8'), 'base64')
  from vault._root_key
$$;

create function vault._open(p_sealed text, p_nonce bytea) returns text
language plpgsql stable security definer set search_path = '' as $$
declare
  v_secret text := convert_from(substr(decode(p_sealed, 'base64'), 33), 'UTF8');
begin
  if vault._seal(v_secret, p_nonce) <> p_sealed then
    raise exception 'pgsodium_crypto_aead_det_decrypt_by_id: invalid ciphertext' using errcode = '22000';
  end if;
  return v_secret;
end
$$;

create view vault.decrypted_secrets as
  select id, name, description, secret, vault._open(secret, nonce) as decrypted_secret,
    key_id, nonce, created_at, updated_at
  from vault.secrets;

create function vault.create_secret(
  new_secret text, new_name text default null, new_description text default '', new_key_id uuid default null
) returns uuid language plpgsql security definer set search_path = '' as $$
declare
  v_id uuid;
begin
  insert into vault.secrets (secret, name, description) values ('', new_name, new_description)
  returning id into v_id;
  update vault.secrets set secret = vault._seal(new_secret, nonce) where id = v_id;
  return v_id;
end
$$;

create function vault.update_secret(
  secret_id uuid, new_secret text default null, new_name text default null,
  new_description text default null, new_key_id uuid default null
) returns void language plpgsql security definer set search_path = '' as $$
declare
  v_old text := (select decrypted_secret from vault.decrypted_secrets where id = secret_id);
begin
  update vault.secrets set
    secret = vault._seal(coalesce(new_secret, v_old), nonce),
    name = coalesce(new_name, name),
    description = coalesce(new_description, description),
    updated_at = now()
  where id = secret_id;
end
$$;

revoke all on all functions in schema vault from public;
grant select, delete on vault.secrets, vault.decrypted_secrets to postgres, service_role;
grant execute on function vault._open, vault.create_secret, vault.update_secret to postgres, service_role;

-- For tests only: as after a change of the project's root key, what was written before cannot be read.
create function vault._lose_root_key() returns void language sql security definer set search_path = '' as $$
  update vault._root_key set key = sha256(key) where true
$$;
revoke all on function vault._lose_root_key from public;
