-- What is wrong with jobs, entries, idempotency keys and queues, each at this moment; nothing is written.
--
-- KEYS  1 '{ns}:'
-- ARGV  1 clock in ms or '', then rows of three: 'job', id, the set it was found in after the prefix or ''; 'entry', queue, entry;
--       'key', idempotency key, ''; 'queue', queue, ''; 'member', member of a table or an index, its key after the prefix
-- Returns for each row {word, function, queue}; the last two '' but for jobs whose spec can be read and that have not ended.
--         The word is OK, or of a job SPEC or STATUS (damaged), LOST, UNWATCHED, UNLISTED, DANGLING, ORPHAN (see judge.lua);
--         of an entry FOREIGN, STALE or STRANDED; of a key ORPHAN; of a queue GROUPLESS; of a member DANGLING
-- Again: the same.
-- Cost  O(rows). Caller: `duestream doctor`.
-- flags: allow-oom
-- include: base
-- include: gathered
-- include: job
-- include: entry
-- include: spec
-- include: stats
-- include: complete
-- include: deliver
-- include: due
-- include: fields
-- include: group
-- include: stranded
-- include: judge

local reply = {}
for i = 2, #ARGV, 3 do
  local kind, a, b = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local word, job = 'OK', {}
  if kind == 'job' then
    word, job = judge_job(a, b)
  elseif kind == 'entry' then
    word = judge_entry(a, b)
  elseif kind == 'key' then
    word = judge_key(a)
  elseif kind == 'queue' then
    word = judge_queue(a)
  elseif kind == 'member' then
    word = judge_member(a, b)
  end
  local waits = job.queue and job.status and not ENDED[job.status[1]]
  reply[#reply + 1] = { word, waits and job.name or '', waits and job.queue or '' }
end
return reply
