// SPDX-License-Identifier: Apache-2.0
//
// Brings remote files here: many ranged requests at once into a sparse file, hashed in file order
// as its finished front advances, so that with the last byte the file is also verified. What has
// arrived survives a kill at any moment (a map beside the file, chunk_map.h). The hasher's state is
// not kept: a resumed download reads its front again, beside the network, at the hasher's speed,
// and thereby also checks what the disk made of it.
//
// Thread-safe. Callers block and get progress on their own thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/cancellation.h"
#include "base/digest.h"
#include "base/file_system.h"
#include "base/piece_states.h"
#include "hub/remote_model.h"
#include "hub/transfer/chunk_plan.h"
#include "hub/transfer/clock.h"
#include "hub/transfer/retry.h"
#include "net/http_client.h"

namespace omg {

enum class TransferPhase {
  kWaiting,       // another process downloads the same bytes; `done` is its progress
  kConnecting,    // no byte has come yet
  kTransferring,  // bytes come, and are hashed behind the front
  kRetrying,      // every connection is in a pause after a failure; `message` says which
  kPaused,        // as the caller asked
  kVerifying,     // all is here, and the hasher is a little behind
  kDone,
};

struct TransferProgress {
  TransferPhase phase = TransferPhase::kConnecting;
  uint64_t total = 0;    // bytes of the file
  uint64_t done = 0;     // here, from this run or an earlier one
  uint64_t fetched = 0;  // by this run
  uint64_t hashed = 0;
  double bytes_per_second = 0;         // over the last seconds; 0 = not known
  std::optional<double> seconds_left;  // nothing while not known
  std::string message;                 // why the last request failed, "" if none did
};

/// What came, as it was hashed on its way.
struct HashedBytes {
  Digest sha256;
  uint64_t size = 0;
  PieceStates pieces;
};

/// Where the bytes go: the seam to the store. Called from the download's own thread, path() from
/// any. Of several callers' targets for one path the first one's is used.
class TransferTarget {
 public:
  virtual ~TransferTarget() = default;
  /// Of the partial file. The same for the same bytes, for all processes: transfers with the same
  /// path are one. ".map" beside it is this folder's, ".lock" is free for try_claim().
  virtual std::string path() const = 0;
  /// Whether the bytes are in their place already (another process may have put them there). Asked
  /// only where the file's SHA-256 is known.
  virtual bool is_there() = 0;
  /// Takes the partial file for this process alone, without waiting; false where another has it.
  virtual bool try_claim() = 0;
  /// Gives the claim up after a failure (also of publish()); the files stay for the next one.
  virtual void release() = 0;
  /// The partial file is whole and verified, and closed: move it to its place, remove the map and
  /// give up the claim, in this order.
  virtual void publish(const HashedBytes& bytes) = 0;
};

struct TransferRequest {
  RemoteFile file;
  /// Shared, since the download may outlive the caller who began it, if others have joined.
  std::shared_ptr<TransferTarget> target;
  /// On the caller's thread, about ten times a second and once at the end; may be null. What it
  /// throws ends this caller's wait as a cancellation does, and comes out of fetch().
  std::function<void(const TransferProgress&)> progress;
  CancellationToken cancellation;
  /// Asks the hub for the file's address and credentials again, when the server refuses those of
  /// `file` with 401 or 403 after the transfer began (tokens live for minutes). May be null.
  std::function<RemoteFile()> renew;
};

struct Transferred {
  Digest sha256;
  uint64_t size = 0;
  uint64_t fetched = 0;  // body bytes of this run; 0 if is_there()
  bool shared = false;   // another caller or process did the work
};

/// The file on the server is another one than the hub told (its ETag or size): ask the hub again.
class RemoteFileChanged : public Error {
 public:
  explicit RemoteFileChanged(const std::string& message) : Error(ErrorCode::kCorrupt, message) {}
};

/// What sends requests; HttpClient, or a test's own. One for each worker.
class TransferConnection {
 public:
  virtual ~TransferConnection() = default;
  virtual HttpResponse send(const HttpRequest& request) = 0;
};

struct TransferOptions {
  ChunkPlanOptions chunks;  // its `workers`: connections for one file
  RetryOptions retry;
  /// A connection that brings less than `stall_bytes_per_second` for so long is given up.
  std::chrono::seconds stall_timeout{30};
  uint64_t stall_bytes_per_second = 1024;
  /// How often the disk is asked to sync, which is what a power cut can cost. kill -9 costs less
  /// than a granule for each connection, whatever this is.
  std::chrono::seconds sync_every{30};
  /// Seed of what is left to chance (pauses). Different for each process.
  uint64_t seed = 0;
  std::string boot_id = "?";      // "?" = the system's; see ChunkMap
  uint64_t bytes_per_second = 0;  // for all transfers together; 0 = no limit
};

/// All transfers of a process.
class Transfers {
 public:
  using Connect = std::function<std::unique_ptr<TransferConnection>()>;

  /// `files` and `clock` must outlive it.
  Transfers(FileSystem& files, TransferClock& clock, Connect connect, TransferOptions options = {});
  /// With connections of HttpClient.
  Transfers(FileSystem& files, TransferClock& clock, HttpClientOptions http,
            TransferOptions options = {});
  /// Nobody may be in fetch().
  ~Transfers();
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  /// Downloads, verifies and publishes; or joins whoever does already, in this process or another.
  /// When one of several callers is cancelled the others go on; the last one's cancellation stops
  /// the download, and what has arrived stays for the next one. Disk space is for the caller to
  /// check. Throws Error(kCancelled); HttpError; RemoteFileChanged; Error(kCorrupt) where the bytes
  /// have another digest than was told (they are thrown away); what target and disk throw.
  Transferred fetch(const TransferRequest& request);

  /// For a file at `partial` that is whole but for `damaged` ranges: the next fetch() of it will
  /// ask for these alone, and verify all. Nobody else may have `partial` meanwhile.
  void keep_undamaged(const std::string& partial, const RemoteFile& file,
                      std::span<const FileRange> damaged);

  /// Stops all requests, and takes them up again. What is on its way is kept to the byte.
  void pause();
  void resume();
  /// Bytes per second for all transfers together, at once; 0 = no limit, others are at least 64
  /// KiB.
  void set_rate_limit(uint64_t bytes_per_second);

 private:
  class Body;
  std::unique_ptr<Body> body_;
};

}  // namespace omg
