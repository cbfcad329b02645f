// SPDX-License-Identifier: Apache-2.0
#include "engine/kv/block_file.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace omg {
namespace {

constexpr size_t kRecordsAtOnce = 8192;  // 1 MiB

Digest digest_of(std::span<const std::byte> bytes) {
  Sha256 hasher;
  hasher.update(bytes);
  return hasher.digest();
}

}  // namespace

BlockFile::BlockFile(std::shared_ptr<File> file, const BlockFileOptions& options)
    : file_(std::move(file)),
      options_(options),
      layout_(BlockFileLayout::make(options.key, options.block_bytes, options.most_bytes)) {
  StoredHeader header;
  const size_t size = file_->read_at(0, header);
  const auto found = decode_header(std::span(header).first(size));
  // A larger table than is needed now is one that was made for a larger limit.
  const bool fits = found && found->key == layout_.key &&
                    found->block_bytes == layout_.block_bytes && found->records >= layout_.records;
  if (fits) layout_ = *found;
  slots_.resize(layout_.slots_in(options.max_bytes));
  if (slots_.empty()) {
    throw Error(ErrorCode::kLimitExceeded,
                "there is no room for one block of " + std::to_string(options.block_bytes) +
                    " bytes in the " + std::to_string(options.max_bytes) + " that it may have");
  }
  if (fits) load_records();
  if (!fits) begin_anew();
  // With holes where nothing was written yet, so that its size is what it may take at most.
  file_->resize(layout_.slot_at(slots()));
  for (uint32_t slot = slots(); slot-- > 0;) {
    if (!slots_[slot].block) free_.push_back(slot);
  }
  read_buffer_ = std::make_unique<std::byte[]>(options.block_bytes);
  thread_ = std::thread([this] { run(); });
}

BlockFile::~BlockFile() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  work_.notify_all();
  thread_.join();
  for (const Read& read : reads_) read.on_end(0);
}

void BlockFile::begin_anew() {
  file_->resize(0);
  file_->write_at(0, encode_header(layout_));
}

/// What was used when is kept as an order: numbers of another process mean nothing here, and a
/// hostile one could make its blocks stay for ever.
void BlockFile::load_records() {
  std::vector<std::pair<StoredBlock, uint32_t>> found;
  std::vector<std::byte> bytes(std::min(kRecordsAtOnce, slots_.size()) *
                               BlockFileLayout::kRecordBytes);
  for (uint32_t first = 0; first < slots_.size(); first += kRecordsAtOnce) {
    const size_t count = std::min<size_t>(kRecordsAtOnce, slots_.size() - first);
    const std::span part = std::span(bytes).first(count * BlockFileLayout::kRecordBytes);
    const size_t size = file_->read_at(layout_.record_at(first), part);
    for (uint32_t i = 0; i < size / BlockFileLayout::kRecordBytes; ++i) {
      const auto block =
          decode_record(layout_.key, first + i, part.subspan(i * BlockFileLayout::kRecordBytes));
      if (block) found.emplace_back(*block, first + i);
    }
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.first.used < b.first.used; });
  std::optional<uint64_t> last;
  for (auto& [block, slot] : found) {
    if (last && *last != block.used) ++clock_;
    last = block.used;
    block.used = clock_;
    if (!index_.contains(block.text)) insert(slot, block);
  }
  ++clock_;
}

uint32_t BlockFile::blocks() const {
  const std::lock_guard lock(mutex_);
  return static_cast<uint32_t>(index_.size());
}

void BlockFile::begin_round() {
  const std::lock_guard lock(mutex_);
  ++clock_;
}

bool BlockFile::use(const Digest& text) {
  const std::lock_guard lock(mutex_);
  touch(text);
  return index_.contains(text) || queued_.contains(text);
}

BlockFile::Age BlockFile::age(uint32_t slot, const StoredBlock& block) {
  return {block.used, UINT32_MAX - block.position, slot};
}

void BlockFile::insert(uint32_t slot, const StoredBlock& block) {
  slots_[slot].block = block;
  slots_[slot].is_dirty = false;
  index_.emplace(block.text, slot);
  ages_.insert(age(slot, block));
}

void BlockFile::forget(uint32_t slot) {
  StoredBlock& block = *slots_[slot].block;
  index_.erase(block.text);
  ages_.erase(age(slot, block));
  slots_[slot].block.reset();
}

/// Who uses a block uses those before it. Those that this round has touched have all above them
/// touched, so the walk is short; a ring of parents, which only a hostile file has, ends it, too.
void BlockFile::touch(const Digest& text) {
  auto found = index_.find(text);
  while (found != index_.end()) {
    Slot& slot = slots_[found->second];
    if (slot.block->used == clock_) return;
    ages_.erase(age(found->second, *slot.block));
    slot.block->used = clock_;
    ages_.insert(age(found->second, *slot.block));
    slot.is_dirty = has_dirty_ = true;
    found = index_.find(slot.block->parent);
  }
}

/// Not if it would be the first to go again: the end of a text that is longer than the file.
bool BlockFile::is_worth(uint32_t position) const {
  if (ages_.empty()) return true;
  const auto& [used, rest, slot] = *ages_.begin();
  return used < clock_ || rest < UINT32_MAX - position;
}

std::optional<uint32_t> BlockFile::take_slot(uint32_t position) {
  if (!free_.empty()) {
    const uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  if (ages_.empty() || !is_worth(position)) return std::nullopt;
  const uint32_t slot = std::get<2>(*ages_.begin());
  forget(slot);
  return slot;
}

/// One block goes in any case.
bool BlockFile::has_room() const {
  return writes_.empty() || (queued_.size() + 1) * options_.block_bytes <= options_.queue_bytes;
}

BlockFile::Put BlockFile::put(const Digest& text, const Digest& parent, uint32_t position,
                              const std::function<void(std::span<std::byte> bytes)>& fill) {
  auto job = std::make_unique<Write>(Write{{text, parent, parent, 0, position}, nullptr});
  {
    const std::lock_guard lock(mutex_);
    touch(parent);
    touch(text);
    if (has_failed_ || index_.contains(text) || queued_.contains(text)) return Put::kNeedless;
    if (free_.empty() && !is_worth(position)) return Put::kNeedless;
    if (!has_room()) return Put::kNoRoom;
    if (!spare_.empty()) {
      job->bytes = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  if (!job->bytes) job->bytes = std::make_unique_for_overwrite<std::byte[]>(options_.block_bytes);
  fill({job->bytes.get(), options_.block_bytes});
  {
    const std::lock_guard lock(mutex_);
    if (!queued_.emplace(text, job.get()).second) return Put::kNeedless;
    writes_.push_back(std::move(job));
  }
  work_.notify_all();
  return Put::kTaken;
}

void BlockFile::read(Read read) {
  {
    const std::lock_guard lock(mutex_);
    reads_.push_back(std::move(read));
  }
  work_.notify_all();
}

bool BlockFile::wait_for_room(Clock::time_point until) {
  std::unique_lock lock(mutex_);
  return done_.wait_until(lock, until, [this] { return has_failed_ || has_room(); }) &&
         !has_failed_;
}

bool BlockFile::drain(Clock::time_point until) {
  std::unique_lock lock(mutex_);
  drains_ = true;
  work_.notify_all();
  const bool is_done = done_.wait_until(
      lock, until, [this] { return !is_busy_ && writes_.empty() && (!has_dirty_ || has_failed_); });
  drains_ = false;
  return is_done;
}

/// The thread. Reads first: somebody waits for them.
void BlockFile::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] {
      return is_stopping_ || !reads_.empty() || !writes_.empty() || (drains_ && has_dirty_);
    });
    if (is_stopping_) return;
    is_busy_ = true;
    if (!reads_.empty()) {
      const Read job = std::move(reads_.front());
      reads_.pop_front();
      lock.unlock();
      serve(job);
      lock.lock();
    } else if (!writes_.empty()) {
      const std::unique_ptr<Write> job = std::move(writes_.front());
      writes_.pop_front();
      lock.unlock();
      write(*job);
      lock.lock();
      queued_.erase(job->block.text);
      if (writes_.empty()) spare_.clear();
      if (!writes_.empty()) spare_.push_back(std::move(job->bytes));
    } else {
      lock.unlock();
      write_records();
      lock.lock();
    }
    is_busy_ = false;
    done_.notify_all();
  }
}

void BlockFile::write(Write& job) {
  std::optional<uint32_t> slot;
  {
    const std::lock_guard lock(mutex_);
    if (has_failed_) return;
    touch(job.block.parent);
    slot = take_slot(job.block.position);
    if (!slot) return;
    job.block.used = clock_;
  }
  try {
    const std::span<const std::byte> bytes(job.bytes.get(), options_.block_bytes);
    job.block.data = digest_of(bytes);
    file_->write_at(layout_.slot_at(*slot), bytes);
    file_->write_at(layout_.record_at(*slot), encode_record(layout_.key, *slot, job.block));
  } catch (const Error& error) {
    fail(error.what());
    const std::lock_guard lock(mutex_);
    return free_.push_back(*slot);
  }
  const std::lock_guard lock(mutex_);
  insert(*slot, job.block);
}

void BlockFile::write_records() {
  std::vector<std::pair<uint32_t, StoredBlock>> dirty;
  {
    const std::lock_guard lock(mutex_);
    has_dirty_ = false;
    if (has_failed_) return;
    for (uint32_t slot = 0; slot < slots_.size(); ++slot) {
      if (slots_[slot].block && slots_[slot].is_dirty)
        dirty.emplace_back(slot, *slots_[slot].block);
      slots_[slot].is_dirty = false;
    }
  }
  try {
    for (const auto& [slot, block] : dirty) {
      file_->write_at(layout_.record_at(slot), encode_record(layout_.key, slot, block));
    }
  } catch (const Error& error) {
    fail(error.what());
  }
}

void BlockFile::fail(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    if (has_failed_) return;
    has_failed_ = true;
  }
  if (options_.on_problem) options_.on_problem(why);
}

void BlockFile::serve(const Read& job) {
  size_t count = 0;
  std::span<const std::byte> bytes;
  for (; count < job.texts.size(); ++count) {
    if (!fetch(job.texts[count], bytes)) {
      forget_all(std::span(job.texts).subspan(count));
      break;
    }
    if (!job.place(count, bytes)) break;
  }
  job.on_end(count);
}

/// Who reads computes now what could not be read, and what follows that, and puts it here again.
void BlockFile::forget_all(std::span<const Digest> texts) {
  const std::lock_guard lock(mutex_);
  for (const Digest& text : texts) {
    const auto found = index_.find(text);
    if (found == index_.end()) continue;
    const uint32_t slot = found->second;
    forget(slot);
    free_.push_back(slot);
  }
}

/// One that still waits to be written is taken from there: only this thread takes it away.
bool BlockFile::fetch(const Digest& text, std::span<const std::byte>& bytes) {
  std::optional<uint32_t> slot;
  std::optional<Digest> data;
  {
    const std::lock_guard lock(mutex_);
    if (const auto queued = queued_.find(text); queued != queued_.end()) {
      bytes = {queued->second->bytes.get(), options_.block_bytes};
      return true;
    }
    const auto found = index_.find(text);
    if (found == index_.end()) return false;
    slot = found->second;
    data = slots_[*slot].block->data;
  }
  const std::span<std::byte> room(read_buffer_.get(), options_.block_bytes);
  bool is_right = false;
  try {
    is_right =
        file_->read_at(layout_.slot_at(*slot), room) == room.size() && digest_of(room) == *data;
  } catch (const Error&) {
    // A disk that cannot read has lost it.
  }
  bytes = room;
  return is_right;
}

}  // namespace omg
