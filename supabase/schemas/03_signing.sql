-- Standard Webhooks signatures on core sha256(): pgcrypto is not everywhere.

-- HMAC-SHA-256 (RFC 2104): the key is padded with zeros to the block of 64 bytes.
create function memoria.hmac_sha256(p_key bytea, p_message bytea) returns bytea
language sql immutable strict set search_path = '' as $$
  with key as (
    select case when length(p_key) > 64 then sha256(p_key) else p_key end as bytes
  ), padded as (
    select bytes || decode(repeat('00', 64 - length(bytes)), 'hex') as bytes from key
  ), pads as (
    select
      decode(string_agg(lpad(to_hex(get_byte(bytes, i) # 54), 2, '0'), '' order by i), 'hex') as inner_pad,
      decode(string_agg(lpad(to_hex(get_byte(bytes, i) # 92), 2, '0'), '' order by i), 'hex') as outer_pad
    from padded, generate_series(0, 63) as i
  )
  select sha256(outer_pad || sha256(inner_pad || p_message)) from pads
$$;

-- The key of a secret: "whsec_…" is base64, anything else is taken as it is.
create function memoria.signing_key(p_secret text) returns bytea
language sql immutable strict set search_path = '' as $$
  select case
    when p_secret like 'whsec\_%' then decode(substr(p_secret, 7), 'base64')
    else convert_to(p_secret, 'UTF8')
  end
$$;

-- The headers that authenticate a body to its receiver, by the Standard Webhooks specification.
create function memoria.signed_headers(p_id text, p_at timestamptz, p_body text, p_secret text) returns jsonb
language sql immutable strict set search_path = '' as $$
  with stamp as (select floor(extract(epoch from p_at))::bigint::text as seconds)
  select jsonb_build_object(
    'webhook-id', p_id,
    'webhook-timestamp', seconds,
    'webhook-signature', 'v1,' || encode(memoria.hmac_sha256(
      memoria.signing_key(p_secret),
      convert_to(p_id || '.' || seconds || '.' || p_body, 'UTF8')
    ), 'base64')
  ) from stamp
$$;

