-- Who may call what. Nothing of ours is open to anybody by default: new functions are, until this
-- file takes that back, so it comes last.

revoke all on all tables in schema memoria from public, anon, authenticated, service_role;
revoke all on all sequences in schema memoria from public, anon, authenticated, service_role;
revoke all on all functions in schema memoria from public, anon, authenticated, service_role;

do $$
declare
  v_function regprocedure;
begin
  for v_function in
    select oid from pg_proc where pronamespace = 'public'::regnamespace and proname like 'memoria\_%'
  loop
    execute format('revoke all on function %s from public, anon, authenticated, service_role', v_function);
  end loop;
end
$$;

-- In a migration of the app, as the schema's owner: memoria_follow, memoria_unfollow.

-- Workers and operators.
grant execute on function
  public.memoria_claim(text, text, text, text),
  public.memoria_heartbeat(uuid, uuid),
  public.memoria_fail(uuid, uuid, text, text, text),
  public.memoria_complete_media(uuid, uuid, jsonb),
  public.memoria_complete_callback(uuid, uuid),
  public.memoria_load_faces(text, uuid, integer),
  public.memoria_load_people(text),
  public.memoria_save_people(uuid, uuid, jsonb),
  public.memoria_sweep_if_due(),
  public.memoria_sweep(),
  public.memoria_status(),
  public.memoria_configure(jsonb),
  public.memoria_requeue(uuid, text, text),
  public.memoria_doctor(),
  public.memoria_begin_search(text, text, text, text),
  public.memoria_refuse_search(uuid, text),
  public.memoria_search(uuid, extensions.vector, text, jsonb),
  public.memoria_search_again(uuid, text, text, text),
  public.memoria_request_removal(uuid, text, text, text)
to service_role;

-- The app's backend, and its users as far as the rules of 04_rights.sql let them.
grant execute on function
  public.memoria_create_event(text, uuid),
  public.memoria_set_owner(text, uuid),
  public.memoria_add_member(text, uuid, text),
  public.memoria_remove_member(text, uuid),
  public.memoria_members(text, jsonb, integer),
  public.memoria_event_status(text),
  public.memoria_archive_event(text),
  public.memoria_reopen_event(text),
  public.memoria_delete_event(text),
  public.memoria_recluster(text),
  public.memoria_reprocess(text),
  public.memoria_enqueue(text, text, text, text, text),
  public.memoria_enqueue_many(text, jsonb),
  public.memoria_delete_media(text),
  public.memoria_people(text, jsonb, integer, boolean, text),
  public.memoria_person_photos(uuid, jsonb, integer),
  public.memoria_photos_with(text, uuid[], text, jsonb, integer),
  public.memoria_photo(text),
  public.memoria_media(text, jsonb, integer, text),
  public.memoria_unassigned_faces(text, jsonb, integer),
  public.memoria_history(text, uuid, jsonb, integer),
  public.memoria_undo(bigint),
  public.memoria_assign_face(uuid, uuid),
  public.memoria_reject_face(uuid, uuid),
  public.memoria_reject_faces(uuid, uuid[]),
  public.memoria_merge_people(uuid, uuid[]),
  public.memoria_tell_apart(uuid, uuid),
  public.memoria_suggestions(text, text, uuid, integer),
  public.memoria_answer_suggestion(uuid, text, uuid),
  public.memoria_set_cover(uuid, uuid),
  public.memoria_dismiss_face(uuid),
  public.memoria_add_face(text, jsonb, uuid),
  public.memoria_split_person(uuid, uuid[]),
  public.memoria_rename_person(uuid, text),
  public.memoria_hide_person(uuid, boolean),
  public.memoria_forget_person(uuid),
  public.memoria_create_search_link(text, jsonb),
  public.memoria_search_links(text, jsonb, integer),
  public.memoria_revoke_search_link(uuid),
  public.memoria_searches(text, integer),
  public.memoria_set_retention(text, integer),
  public.memoria_open_search(text, text),
  public.memoria_may_follow(text)
to authenticated, service_role;
