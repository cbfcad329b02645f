// SPDX-License-Identifier: Apache-2.0
//
// The local model store, sole owner of the models directory:
//
//   blobs/sha256-<hex>      whole files, named by their digest, equal bytes once
//   manifests/<key>.json    one model each, readable by people; names: StoreName::key()
//   partial/…               downloads under way, kept over restarts
//   pieces/sha256-<hex>     where a damaged blob is damaged: piece_states.h
//   linked/ views/ quarantine/ temp/ state.db version lock
//
// How a pull uses it:
//
//   Lease lease;                                      // nothing named here is collected
//   store.check_space(sum of bytes_to_come() of what is missing);
//   for each file:
//     if (digest) if (auto found = store.locate(*digest, lease)) { artifact = *found; continue; }
//     auto partial = store.try_lock_partial(key);      // nothing: another pull has it; wait, again
//     (once more locate(): the other pull may have finished it)
//     … write partial->path(), hashing …
//     artifact.digest = …; store.put_blob(std::move(*partial), digest, size, lease);
//   store.publish(model);                              // the model appears, whole
//
// How a run uses it:  UsedModel used = store.use(name);  … used.files()[0].path, store.view(used) …
//
// Locking: changes take `lock` exclusively and shortly. Readers of manifests take no lock: a
// manifest is replaced by rename alone. A lease is a shared lock of the system on each blob, and a
// partial has a lock of its own: both die with their process, and nothing needs to be written for
// them, so that models run on a full disk too. Any number of processes and threads may work on one
// directory.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/digest.h"
#include "base/file_system.h"
#include "base/piece_states.h"
#include "store/stored_model.h"

namespace omg {

struct StoreOptions {
  /// The models directory; "" for default_models_folder().
  std::string folder;
  /// The disk; must outlive the store. Null: the machine's own.
  FileSystem* files = nullptr;
  /// Seconds since 1970; null: the machine's clock.
  std::function<int64_t()> now;
  /// Models that are here without any file: found by name where no manifest has it, in no listing.
  std::vector<StoredModel> built_in = {};
  /// A directory that cannot be made or written is opened for reading what there is of it; each
  /// change is refused with the reason then.
  bool may_be_read_only = false;
};

/// OMG_MODELS, else $XDG_DATA_HOME/ohmygpu/models, else ~/.local/share/ohmygpu/models. Throws
/// Error(kInvalidArgument) where none of these is an absolute path.
std::string default_models_folder();

/// What keeps blobs from gc() while no manifest names them. Given up when destroyed, and by the
/// system when the process ends. Movable; not thread-safe. May outlive the store.
class Lease {
 private:
  friend class Store;
  std::map<std::string, std::unique_ptr<FileLock>> locks_;  // by path
};

/// The name of an unfinished download: the digest that it will have, or any text that tells it from
/// others (its URL and ETag).
class PartialKey {
 public:
  explicit PartialKey(const Digest& digest) : name_(digest.file_name()) {}
  explicit PartialKey(std::string_view text) : name_("key-" + sha256(text).hex()) {}
  const std::string& name() const { return name_; }

 private:
  std::string name_;
};

/// An unfinished download that this process alone works on. Files that stand beside path() and
/// whose names are path() + ".something" belong to it (a map of chunks, say): put_blob() and gc()
/// remove them with it; ".lock" is the store's. Gives the lock up, and keeps the files for the next
/// one, when destroyed. Must not outlive the store.
class Partial {
 public:
  Partial(Partial&&) noexcept = default;
  Partial& operator=(Partial&& other) noexcept {
    std::swap(key_, other.key_);
    std::swap(path_, other.path_);
    std::swap(files_, other.files_);
    std::swap(lock_, other.lock_);
    return *this;
  }
  ~Partial();

  const std::string& path() const { return path_; }
  const PartialKey& key() const { return key_; }

 private:
  friend class Store;
  Partial(PartialKey key, std::string path, FileSystem& files, std::unique_ptr<FileLock> lock)
      : key_(std::move(key)), path_(std::move(path)), files_(&files), lock_(std::move(lock)) {}
  PartialKey key_;
  std::string path_;
  FileSystem* files_;
  std::unique_ptr<FileLock> lock_;  // null once moved from or used up
};

/// A file of a model in use.
struct UsedFile {
  Artifact artifact;
  std::string path;  // absolute; of the blob, or in its owner's folder
};

/// A model whose blobs stay while this lives, whatever happens to its name.
class UsedModel {
 public:
  const StoredModel& model() const { return model_; }
  const std::vector<UsedFile>& files() const { return files_; }

 private:
  friend class Store;
  explicit UsedModel(StoredModel model) : model_(std::move(model)) {}
  StoredModel model_;
  Lease lease_;
  std::vector<UsedFile> files_;
};

struct ListedModel {
  StoredModel model;
  std::optional<int64_t> last_used;  // seconds since 1970
};

struct StoreProblem {
  std::string path;
  std::string message;
};

struct StoreListing {
  std::vector<ListedModel> models;     // by name
  std::vector<StoreProblem> problems;  // manifests that cannot be read
};

struct GcOptions {
  bool dry_run = false;
  /// Downloads that nobody works on are kept if they were written to within this time.
  std::chrono::seconds keep_partials{std::chrono::hours(24)};
};

struct GcReport {
  struct Item {
    std::string path;
    uint64_t bytes = 0;  // that removing it frees on the disk
  };
  std::vector<Item> removed;
  uint64_t freed_bytes = 0;
};

struct VerifyReport {
  struct Bad {
    std::string path;
    std::string why;
    std::vector<std::string> models;  // names that need the file
    bool quarantined = false;         // a blob of ours: a pull fetches it anew
    /// Of a blob of ours, also one that is not there.
    std::optional<Digest> digest = {};
    /// Of a quarantined blob: where it is damaged; empty if that is not known.
    std::vector<FileRange> damaged = {};
  };
  std::vector<Bad> bad;
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t learned = 0;  // references whose digest is known from now on
};

struct VerifyOptions {
  std::optional<StoreName> name;  // only the files of this one
  /// Called now and then with the bytes read so far and their sum; may be null.
  std::function<void(uint64_t done, uint64_t total)> progress;
  CancellationToken cancellation;
};

/// How put_file() brings in a file that is somebody else's.
enum class ImportMode {
  kCopy,
  kReflink,   // shares blocks until one changes; Error(kUnsupported) where the disk cannot
  kHardLink,  // shares the file: its owner can change it, so it is a reference to linked/…;
              // Error(kUnsupported) across disks
};

struct JobRecord {
  std::string id;
  std::string kind;     // "pull", "import", …
  std::string subject;  // the model's name
  std::string state;    // the job's own word
  std::string detail;   // JSON
  int64_t created_at = 0;
  int64_t updated_at = 0;  // set by put_job
};

/// All methods throw Error and, unless said otherwise, are thread-safe and leave the store as it
/// was if they do. A disk that fails or a power cut at any moment leaves a store that opens clean.
class Store {
 public:
  /// Makes the directory if it is missing and removes what a crash left behind (never downloads).
  /// Error(kUnsupported) for a directory of a newer version.
  static Store open(const StoreOptions& options = {});
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

  const std::string& folder() const;
  /// Why nothing can be written, where it is opened for reading alone.
  const std::optional<std::string>& read_only_reason() const;

  // Models.

  StoreListing list() const;
  /// Those that no name of a manifest hides.
  std::vector<ListedModel> built_in() const;
  /// Nothing where there is no such name; Error(kCorrupt) if its manifest cannot be read.
  std::optional<StoredModel> find(const StoreName& name) const;
  /// As find(), but Error(kNotFound) that tells the names most like it.
  StoredModel require(const StoreName& name) const;
  /// Makes the model visible, or replaces the one of its name. All its blobs must be there
  /// (Error(kNotFound)) and its references unchanged. Of what is built in, bytes become blobs.
  void publish(StoredModel model);
  /// Gives `from`'s model the name `to` as well.
  void copy(const StoreName& from, const StoreName& to);
  /// Forgets a name, also one whose manifest is damaged. Its blobs stay until gc(). False where
  /// there is none.
  bool remove(const StoreName& name);
  /// Files of a model whose bytes are gone or changed, with the reason in `message`; empty when all
  /// is well. Looks at sizes and times, not at bytes.
  std::vector<StoreProblem> missing(const StoredModel& model) const;
  /// Ready for a run: checked, with real paths, leased, and its last use set to now (where state.db
  /// cannot be written, the run does not fail for it). A reference that its owner has changed is
  /// Error(kCorrupt) that says whose file and what to do.
  UsedModel use(const StoreName& name);
  /// A folder in which each file of the model stands under its own name, as a link: for split GGUF
  /// and safetensors, whose readers look for names. Made where it is missing; stays while the model
  /// does, or `used`.
  std::string view(UsedModel& used);
  /// What a reader of model files is to open for `file` of the model: in its view, or, where there
  /// is none (built in, or a store that cannot be written), where its bytes are.
  std::string path_for_reader(UsedModel& used, const Artifact& file);

  // Bytes.

  /// Where a file of these bytes is already: our blob, or an unchanged reference of some model. The
  /// result's location, size and digest are set, ready to be part of a model; it is leased.
  std::optional<Artifact> locate(const Digest& digest, Lease& lease) const;
  bool has_blob(const Digest& digest) const;
  std::string blob_path(const Digest& digest) const;
  /// Where try_lock_partial() puts it: the same for all processes.
  std::string partial_path(const PartialKey& key) const;
  /// Nothing if another process or thread holds it. Never waits.
  std::optional<Partial> try_lock_partial(const PartialKey& key);
  /// Makes the finished partial file a blob and removes what belonged to it. `digest` is what the
  /// caller has computed; only the size is checked (Error(kCorrupt)). If the blob is there already
  /// the partial is dropped. With `pieces`, a later verify() can tell where it is damaged.
  void put_blob(Partial partial, const Digest& digest, uint64_t size, Lease& lease,
                const PieceStates& pieces = {});
  /// Small bytes (configs, templates) as a blob.
  Digest put_bytes(std::string_view bytes, Lease& lease);
  /// A file on this machine by copy, reflink or hard link; hashes it (a reflink's and a link's
  /// bytes are read once for that). The result's location, size and digest are set.
  Artifact put_file(const std::string& path, ImportMode mode, Lease& lease,
                    const CancellationToken& cancellation = {});
  /// A reference to a file on this machine as it is now: nothing is read, the digest stays unknown.
  Artifact refer_to_file(const std::string& path, FileOwner owner) const;
  /// What a download of `size` bytes will still take of the disk: less what an earlier try left of
  /// it, and nothing where another brings it already.
  uint64_t bytes_to_come(const PartialKey& key, uint64_t size) const;
  /// Error(kOutOfMemory), with the numbers, unless the disk has `bytes` free and 64 MiB more,
  /// beside what downloads under way will still take.
  void check_space(uint64_t bytes) const;

  // Care.

  /// Removes what no name, no lease and no download in progress needs. Error(kCorrupt), and nothing
  /// is removed, while any manifest cannot be read: what it needs is not known.
  GcReport gc(const GcOptions& options = {});
  /// Reads and hashes the files of all models. Bad blobs go to quarantine/, so that the next pull
  /// of a model that needs one fetches it; foreign files are only reported.
  VerifyReport verify(const VerifyOptions& options = {});
  /// Makes the quarantined blob the partial file of its digest, to be mended there. Nothing where
  /// there is none, or where a download of the same bytes was begun already.
  std::optional<Partial> take_from_quarantine(const Digest& digest);
  /// One tar file with these models and all their bytes, at `path` (replaced if there).
  void export_bundle(const std::vector<StoreName>& names, const std::string& path,
                     const CancellationToken& cancellation = {});
  /// Brings in a bundle; every blob is hashed on its way. Returns the names it brought.
  std::vector<std::string> import_bundle(const std::string& path,
                                         const CancellationToken& cancellation = {});

  // What changes often (state.db). Lost if the database is damaged, and nothing else with it.

  void touch(const StoreName& name);
  std::optional<int64_t> last_used(const StoreName& name) const;
  void put_job(JobRecord job);
  std::vector<JobRecord> jobs() const;  // newest first
  void remove_job(const std::string& id);

 private:
  struct Body;
  friend class StoreVerifier;
  friend class Bundler;
  explicit Store(std::unique_ptr<Body> body);
  std::unique_ptr<Body> body_;
};

}  // namespace omg
