// SPDX-License-Identifier: Apache-2.0
//
// Bytes coming into the store: downloads, small blobs, files of this machine.
#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "store/store_body.h"

namespace omg {
namespace {

constexpr size_t kStepBytes = 4u << 20;
constexpr uint64_t kSpaceMargin = 64u << 20;

std::string absolute_path(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

}  // namespace

HashedFile copy_range(File& from, uint64_t offset, uint64_t size, File& to, uint64_t to_offset,
                      const CancellationToken& cancellation) {
  std::vector<std::byte> piece(std::min<uint64_t>(kStepBytes, size));
  PieceHasher hasher;
  uint64_t done = 0;
  while (done < size) {
    cancellation.throw_if_cancelled();
    const auto wanted = std::span(piece).first(std::min<uint64_t>(piece.size(), size - done));
    if (from.read_at(offset + done, wanted) != wanted.size()) {
      throw Error(ErrorCode::kCorrupt, "a file became shorter while it was read; try again");
    }
    hasher.update(wanted);
    to.write_at(to_offset + done, wanted);
    done += wanted.size();
  }
  return {hasher.digest(), size, hasher.states()};
}

void read_file_in_steps(File& file, const CancellationToken& cancellation,
                        const std::function<void(std::span<const std::byte>)>& step) {
  std::vector<std::byte> piece(kStepBytes);
  for (uint64_t done = 0;;) {
    cancellation.throw_if_cancelled();
    const size_t size = file.read_at(done, piece);
    if (size == 0) return;
    step(std::span(piece).first(size));
    done += size;
  }
}

HashedFile hash_file(File& file, const CancellationToken& cancellation) {
  PieceHasher hasher;
  uint64_t bytes = 0;
  read_file_in_steps(file, cancellation, [&](std::span<const std::byte> step) {
    hasher.update(step);
    bytes += step.size();
  });
  return {hasher.digest(), bytes, hasher.states()};
}

std::string human_bytes(uint64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {" B", " kB", " MB", " GB", " TB", " PB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof(text), unit == 0 || value >= 99.95 ? "%.0f" : "%.1f", value);
  return std::string(text) + std::string(kUnits[unit]);
}

std::string changed_reference_message(const FileReference& reference,
                                      const std::optional<FileInfo>& now) {
  const std::string whose =
      reference.owner == FileOwner::kUser
          ? ", a file of yours,"
          : ", which belongs to " + std::string(owner_title(reference.owner)) + ",";
  std::string how;
  if (!now) {
    how = " is gone";
  } else if (!now->is_file()) {
    how = " is no regular file any more";
  } else if (now->size != reference.size) {
    how = " has changed since it was adopted (" + std::to_string(now->size) + " bytes, then " +
          std::to_string(reference.size) + ")";
  } else {
    how = " has been written or replaced since it was adopted";
  }
  return "the file " + reference.path + whose + how +
         "; run 'omg import' to adopt it as it is now, or 'omg pull' to get a copy of our own";
}

// Body.

bool Store::Body::protect(const std::string& path, Lease& lease) {
  if (lease.locks_.contains(path)) return true;
  auto lock = files.lock(path, LockMode::kShared, LockWait::kYes, LockMissing::kRefuse);
  if (!lock) return false;
  lease.locks_.emplace(path, std::move(lock));
  return true;
}

void Store::Body::move_in(const std::string& from, const std::string& to, Lease& lease) {
  files.open(from, OpenMode::kRead)->sync();
  // The lock is on the file, not on its name, and so it moves with it.
  auto lock = files.lock(from, LockMode::kShared, LockWait::kYes, LockMissing::kRefuse);
  {
    const auto writing = write_lock();
    files.rename(from, to);
    files.sync_folder(folder_of(to));
  }
  lease.locks_.insert_or_assign(to, std::move(lock));
}

void Store::Body::remove_partial_files(const PartialKey& key) {
  const std::string beside = key.name() + ".";
  for (const std::string& name : files.list(paths.partials())) {
    const bool belongs = name == key.name() || name.starts_with(beside);
    if (belongs && !name.ends_with(StorePaths::kLockSuffix)) {
      files.remove(paths.partials() + "/" + name);
    }
  }
  files.sync_folder(paths.partials());
}

void Store::Body::keep_pieces(const Digest& digest, const PieceStates& pieces) {
  if (pieces.empty()) return;
  const auto lock = write_lock();
  write_file_atomically(files, paths.temporary(serial()), paths.pieces(digest),
                        piece_states_to_bytes(pieces));
}

Digest Store::Body::put_bytes(std::string_view bytes, Lease& lease) {
  const Digest digest = sha256(bytes);
  const std::string path = paths.blob(digest);
  if (protect(path, lease)) return digest;
  const auto lock = write_lock();
  write_file_atomically(files, paths.temporary(serial()), path, bytes);
  protect(path, lease);  // nobody collects it in between: gc() works under the same lock
  return digest;
}

std::optional<PieceStates> Store::Body::read_pieces(const Digest& digest, uint64_t size) {
  const std::string path = paths.pieces(digest);
  const auto info = files.info(path);
  if (!info || !info->is_file() || info->size != piece_states_size(size)) return std::nullopt;
  return piece_states_from_bytes(read_file(files, path, info->size), size);
}

bool Store::Body::is_locked(const std::string& path) {
  if (!files.info(path)) return false;
  // Held for a moment: whoever tries to take it just then tries again.
  return !files.lock(path, LockMode::kShared, LockWait::kNo, LockMissing::kRefuse) &&
         files.info(path);
}

uint64_t Store::Body::promised_bytes() {
  // A download gives its sparse file the whole size at once.
  uint64_t sum = 0;
  for (const std::string& name : files.list(paths.partials())) {
    const std::string path = paths.partials() + "/" + name;
    if (name.find('.') != std::string::npos) continue;  // a map or a lock
    const auto info = files.info(path);
    if (!info || !is_locked(path + std::string(StorePaths::kLockSuffix))) continue;
    sum += std::min(info->size - std::min(info->size, info->allocated), UINT64_MAX / 4 - sum);
  }
  return sum;
}

// Partial.

Partial::~Partial() {
  if (!lock_) return;
  try {  // a lock for nothing would be left over; whoever waits for it looks again
    if (!files_->info(path_)) files_->remove(path_ + std::string(StorePaths::kLockSuffix));
  } catch (const Error&) {  // gc() does it
  }
}

// Store.

std::string Store::blob_path(const Digest& digest) const {
  return body_->paths.blob(digest);
}

bool Store::has_blob(const Digest& digest) const {
  const auto info = body_->files.info(body_->paths.blob(digest));
  return info && info->is_file();
}

std::optional<Artifact> Store::locate(const Digest& digest, Lease& lease) const {
  Artifact artifact;
  artifact.digest = digest;
  const std::string path = body_->paths.blob(digest);
  if (body_->protect(path, lease)) {
    if (const auto info = body_->files.info(path)) {
      artifact.size = info->size;
      return artifact;
    }
  }
  for (const StoredModel& model : body_->read_manifests().models) {
    for (const Artifact& other : model.artifacts) {
      if (!other.reference || other.digest != digest) continue;
      const auto info = body_->files.info(other.reference->path);
      if (!info || !other.reference->matches(*info)) continue;
      if (other.reference->path.starts_with(body_->paths.linked() + "/") &&
          !body_->protect(other.reference->path, lease)) {
        continue;
      }
      artifact.size = other.size;
      artifact.reference = other.reference;
      return artifact;
    }
  }
  return std::nullopt;
}

std::string Store::partial_path(const PartialKey& key) const {
  return body_->paths.partial(key);
}

std::optional<Partial> Store::try_lock_partial(const PartialKey& key) {
  body_->require_writable();
  auto lock =
      body_->files.lock(body_->paths.partial_lock(key), LockMode::kExclusive, LockWait::kNo);
  if (!lock) return std::nullopt;
  return Partial(key, body_->paths.partial(key), body_->files, std::move(lock));
}

void Store::put_blob(Partial partial, const Digest& digest, uint64_t size, Lease& lease,
                     const PieceStates& pieces) {
  const std::string path = body_->paths.blob(digest);
  if (!body_->protect(path, lease)) {
    const auto info = body_->files.info(partial.path());
    if (!info || info->size != size) {
      throw Error(ErrorCode::kCorrupt, "cannot keep the download " + partial.path() + ": it has " +
                                           (info ? std::to_string(info->size) : std::string("no")) +
                                           " bytes instead of " + std::to_string(size) +
                                           "; pull it again");
    }
    body_->keep_pieces(digest, pieces);
    body_->move_in(partial.path(), path, lease);
  }
  body_->remove_partial_files(partial.key());
}

Digest Store::put_bytes(std::string_view bytes, Lease& lease) {
  return body_->put_bytes(bytes, lease);
}

Artifact Store::refer_to_file(const std::string& path, FileOwner owner) const {
  const std::string real = body_->files.real_path(absolute_path(path));
  const auto info = body_->files.info(real);
  if (!info || !info->is_file()) {
    throw Error(ErrorCode::kInvalidArgument, "cannot adopt " + path + ": it is no regular file");
  }
  Artifact artifact;
  artifact.filename = std::filesystem::path(path).filename().string();
  artifact.size = info->size;
  artifact.reference = FileReference{real, owner, info->size, info->modified_ns, info->inode};
  return artifact;
}

Artifact Store::put_file(const std::string& path, ImportMode mode, Lease& lease,
                         const CancellationToken& cancellation) {
  FileSystem& files = body_->files;
  const Artifact original = refer_to_file(path, FileOwner::kUser);
  const std::string& real = original.reference->path;
  auto partial = try_lock_partial(PartialKey("import " + std::to_string(body_->serial())));
  const std::string partial_path = partial->path();  // it is moved from below
  const auto cannot = [&](const std::string& how) {
    return Error(ErrorCode::kUnsupported, "cannot " + how + " " + path + " into " +
                                              body_->paths.root() +
                                              ": the disk cannot, or it is another disk; import it "
                                              "by reference or with --copy");
  };
  try {
    std::optional<HashedFile> hashed;
    if (mode == ImportMode::kCopy) {
      check_space(original.size);
      const auto from = files.open(real, OpenMode::kRead);
      const auto to = files.open(partial->path(), OpenMode::kCreateNew);
      hashed = copy_range(*from, 0, original.size, *to, 0, cancellation);
    } else {
      const bool link = mode == ImportMode::kHardLink;
      if (link ? !files.hard_link(real, partial->path()) : !files.reflink(real, partial->path())) {
        throw cannot(link ? "hard-link" : "reflink");
      }
      hashed = hash_file(*files.open(partial->path(), OpenMode::kRead), cancellation);
    }
    const auto now = files.info(real);
    if (!now || !original.reference->matches(*now)) {
      throw Error(ErrorCode::kCorrupt,
                  "cannot import " + path + ": it changed meanwhile; try again when it is whole");
    }
    Artifact artifact = original;
    artifact.digest = hashed->digest;
    if (mode == ImportMode::kHardLink) {
      artifact.reference->path = body_->paths.linked(hashed->digest, body_->serial());
      body_->move_in(partial->path(), artifact.reference->path, lease);
      body_->remove_partial_files(partial->key());
    } else {
      artifact.reference.reset();
      put_blob(std::move(*partial), hashed->digest, original.size, lease, hashed->pieces);
    }
    return artifact;
  } catch (...) {
    try {  // nothing of it can be gone on with
      files.remove(partial_path);
    } catch (const Error&) {  // gc() does it
    }
    throw;
  }
}

uint64_t Store::bytes_to_come(const PartialKey& key, uint64_t size) const {
  if (body_->is_locked(body_->paths.partial_lock(key))) return 0;
  const auto info = body_->files.info(body_->paths.partial(key));
  return info ? size - std::min(size, info->allocated) : size;
}

void Store::check_space(uint64_t bytes) const {
  const uint64_t free = body_->files.free_bytes(body_->paths.root());
  const uint64_t promised = body_->promised_bytes();
  const uint64_t reserved = promised + kSpaceMargin;
  if (free >= reserved && bytes <= free - reserved) return;
  const std::string downloads =
      promised == 0 ? "" : ", of which downloads under way need " + human_bytes(promised);
  throw Error(ErrorCode::kOutOfMemory,
              "not enough disk space: " + human_bytes(bytes) + " are needed and " +
                  human_bytes(free) + " are free at " + body_->paths.root() + downloads +
                  "; free some with 'omg rm' and 'omg gc', or set OMG_MODELS to another disk");
}

}  // namespace omg
