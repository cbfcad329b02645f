// SPDX-License-Identifier: Apache-2.0
//
// Whole downloads against a server of function calls, on a clock whose time passes at once.
#include "hub/transfer/transfer.h"

#include <atomic>
#include <gtest/gtest.h>
#include <thread>

#include "base/testing/temporary_folder.h"
#include "hub/transfer/chunk_map.h"
#include "hub/transfer/file_target.h"
#include "hub/transfer/testing/fake_clock.h"
#include "hub/transfer/testing/fake_server.h"

namespace omg {
namespace {

using std::chrono::seconds;
using testing::FakeServer;
using testing::read_test_file;
using testing::test_bytes;

constexpr uint64_t kKiB = 1u << 10;

class TransferTest : public ::testing::Test {
 protected:
  TransferTest() {
    server_.content = test_bytes(2'000'003);
    options_.chunks.granule = 16 * kKiB;
    options_.chunks.least_chunk = 32 * kKiB;
    options_.chunks.most_chunk = 128 * kKiB;
    options_.chunks.workers = 4;
    options_.chunks.steal_seconds = 1e9;  // this clock is in too much of a hurry to judge
    options_.boot_id = "boot";
    remote_.path = "model.gguf";
    remote_.url = server_.hub_url;
    remote_.size = server_.content.size();
    remote_.sha256 = sha256(server_.content);
    remote_.etag = "first";
  }

  Transferred fetch(std::function<void(const TransferProgress&)> progress = nullptr,
                    const CancellationToken& cancellation = {}) {
    Transfers transfers(files_, clock_, server_.connect(), options_);
    return fetch_with(transfers, std::move(progress), cancellation);
  }
  Transferred fetch_with(Transfers& transfers,
                         std::function<void(const TransferProgress&)> progress = nullptr,
                         const CancellationToken& cancellation = {}) {
    TransferRequest request;
    request.file = remote_;
    request.target = std::make_shared<FileTarget>(files_, path_);
    request.progress = std::move(progress);
    request.cancellation = cancellation;
    request.renew = renew_;
    return transfers.fetch(request);
  }
  void expect_right() {
    EXPECT_EQ(read_test_file(path_), server_.content);
    EXPECT_EQ(files_.list(folder_.path()), std::vector<std::string>{"model.gguf"});
  }
  ErrorCode failure(const std::string& words) {
    try {
      fetch();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
      return error.code();
    }
    ADD_FAILURE() << "no error";
    return ErrorCode::kInternal;
  }
  /// Ends a download when about `bytes` have come, as a crash would.
  void interrupt_after(uint64_t bytes) {
    CancellationToken token;
    std::atomic<uint64_t> sent{0};
    const auto before = server_.change;
    server_.change = [&](size_t, const FakeServer::Seen& seen) {
      sent += seen.range->length.value_or(0);
      if (sent > bytes) token.cancel();
      FakeServer::Change change;
      if (sent > bytes) {
        change.hangs = true;
        change.cut_after = 20 * kKiB;
      }
      return change;
    };
    EXPECT_THROW(fetch(nullptr, token), Error);
    server_.change = before;
  }

  testing::TemporaryFolder folder_;
  std::string path_ = folder_ / "model.gguf";
  RealFileSystem files_;
  testing::FakeClock clock_;
  FakeServer server_;
  TransferOptions options_;
  RemoteFile remote_;
  std::function<RemoteFile()> renew_;
};

TEST_F(TransferTest, BringsAFileWithEachByteAskedForOnce) {
  TransferProgress last;
  const Transferred done = fetch([&](const TransferProgress& now) { last = now; });
  expect_right();
  EXPECT_EQ(done.sha256, *remote_.sha256);
  EXPECT_EQ(done.fetched, remote_.size);
  EXPECT_FALSE(done.shared);
  EXPECT_EQ(server_.sent(), remote_.size);
  EXPECT_EQ(server_.hub_requests(), 1u) << "the signed address is asked for once";
  EXPECT_EQ(last.phase, TransferPhase::kDone);
  EXPECT_EQ(last.done, remote_.size);
  EXPECT_EQ(last.hashed, remote_.size);
  EXPECT_EQ(last.total, remote_.size);
}

TEST_F(TransferTest, BringsFilesOfAllSizes) {
  for (const size_t size : {0, 1, 16383, 16384, 16385, 40000, 131072, 300001}) {
    server_.content = test_bytes(size, size);
    remote_.size = size;
    remote_.sha256 = sha256(server_.content);
    files_.remove(path_);
    EXPECT_EQ(fetch().sha256, *remote_.sha256);
    expect_right();
  }
}

TEST_F(TransferTest, KeepsCredentialsFromTheContentHost) {
  remote_.authorization = "Bearer secret";
  fetch();
  for (const auto& seen : server_.requests()) EXPECT_EQ(seen.authorization, "");
}

TEST_F(TransferTest, KnowsThatAnotherHasPublishedIt) {
  testing::write_test_file(path_, server_.content);
  const Transferred done = fetch();
  EXPECT_TRUE(done.shared);
  EXPECT_EQ(done.fetched, 0u);
  EXPECT_EQ(server_.requests().size(), 0u);
}

TEST_F(TransferTest, GoesOnWhereAnotherRunEnded) {
  interrupt_after(1'000'000);
  const uint64_t there = *ChunkMap::peek(files_, path_ + ".partial");
  EXPECT_GT(there, 500'000u);
  const uint64_t before = server_.sent();
  EXPECT_EQ(fetch().fetched, remote_.size - there);
  EXPECT_EQ(server_.sent() - before, remote_.size - there);
  expect_right();
}

TEST_F(TransferTest, DropsWhatWasNotSyncedWhenTheMachineStopped) {
  options_.sync_every = seconds(100'000);
  interrupt_after(1'000'000);
  options_.boot_id = "another";
  EXPECT_EQ(fetch().fetched, remote_.size);
  expect_right();
}

TEST_F(TransferTest, KeepsWhatWasSyncedWhenTheMachineStopped) {
  options_.sync_every = seconds(0);
  interrupt_after(1'500'000);
  options_.boot_id = "another";
  EXPECT_LT(fetch().fetched, remote_.size);
  expect_right();
}

TEST_F(TransferTest, RepairsWhatTheDiskMadeOfAnEarlierRun) {
  interrupt_after(1'000'000);
  {
    const auto file = files_.open(path_ + ".partial", OpenMode::kReadWrite);
    file->write_at(5, std::as_bytes(std::span("wrong", 5)));
  }
  fetch();
  expect_right();
}

TEST_F(TransferTest, FetchesOnlyWhatIsDamaged) {
  std::string damaged = server_.content;
  damaged[100'000] ^= 1;
  damaged.back() ^= 1;
  testing::write_test_file(path_ + ".partial", damaged);
  const std::vector<FileRange> ranges = {{90'000, 110'000},
                                         {server_.content.size() - 1, server_.content.size()}};
  Transfers transfers(files_, clock_, server_.connect(), options_);
  transfers.keep_undamaged(path_ + ".partial", remote_, ranges);
  // Granules of 16 KiB: 90,000 lies in the 6th and 110,000 in the 7th; the last one is short.
  EXPECT_EQ(fetch_with(transfers).fetched, 2 * 16 * kKiB + server_.content.size() % (16 * kKiB));
  expect_right();
}

TEST_F(TransferTest, FetchesAllWhereItWasToldWronglyWhatIsDamaged) {
  std::string damaged = server_.content;
  damaged[100'000] ^= 1;
  testing::write_test_file(path_ + ".partial", damaged);
  Transfers transfers(files_, clock_, server_.connect(), options_);
  transfers.keep_undamaged(path_ + ".partial", remote_, std::vector<FileRange>{{0, 1}});
  fetch_with(transfers);
  expect_right();
}

TEST_F(TransferTest, TriesBrokenConnectionsAgainWhereTheyBroke) {
  server_.change = [](size_t number, const FakeServer::Seen&) {
    FakeServer::Change change;
    if (number % 2 == 0) change.cut_after = 5000;
    return change;
  };
  fetch();
  expect_right();
  EXPECT_EQ(server_.sent(), remote_.size) << "not a byte twice";
}

TEST_F(TransferTest, GivesUpOnAServerThatNeverAnswers) {
  server_.change = [](size_t, const FakeServer::Seen&) {
    return FakeServer::Change{.status = 503};
  };
  options_.retry.attempts = 3;
  options_.chunks.workers = 1;
  EXPECT_EQ(failure("503"), ErrorCode::kUnavailable);
  EXPECT_EQ(server_.requests().size(), 3u);
}

TEST_F(TransferTest, WaitsAsLongAsTheServerAsks) {
  server_.change = [](size_t number, const FakeServer::Seen&) {
    FakeServer::Change change;
    if (number == 2) {
      change.status = 429;
      change.retry_after = seconds(90);
    }
    return change;
  };
  const auto begin = clock_.now();
  bool rested = false;
  fetch([&](const TransferProgress& now) { rested |= now.phase == TransferPhase::kRetrying; });
  expect_right();
  EXPECT_GE(clock_.now() - begin, seconds(90));
}

TEST_F(TransferTest, DoesNotWaitForHours) {
  server_.change = [](size_t, const FakeServer::Seen&) {
    FakeServer::Change change;
    change.status = 429;
    change.retry_after = seconds(86'400);
    return change;
  };
  failure("429");
}

TEST_F(TransferTest, AsksForTheAddressAgainWhenItExpires) {
  server_.change = [&](size_t number, const FakeServer::Seen&) {
    FakeServer::Change change;
    if (number == 5) change.before = [&] { server_.expire(); };
    return change;
  };
  fetch();
  expect_right();
  EXPECT_EQ(server_.hub_requests(), 2u);
}

TEST_F(TransferTest, EndsWhereTheAddressIsAlwaysRefused) {
  server_.change = [](size_t, const FakeServer::Seen&) {
    return FakeServer::Change{.status = 403};
  };
  failure("403");
  EXPECT_LE(server_.hub_requests(), 6u);
}

TEST_F(TransferTest, RenewsCredentialsThatExpire) {
  server_.hub_status = [](size_t number) { return number == 1 ? 401 : 0; };
  server_.change = [&](size_t number, const FakeServer::Seen&) {
    FakeServer::Change change;
    if (number == 5) change.before = [&] { server_.expire(); };
    return change;
  };
  int renewed = 0;
  renew_ = [&] {
    ++renewed;
    return remote_;
  };
  fetch();
  expect_right();
  EXPECT_EQ(renewed, 1);
}

TEST_F(TransferTest, SaysWhatTheHubSaysOfAFileThatIsNotForUs) {
  server_.hub_status = [](size_t) { return 403; };
  failure("403");
}

TEST_F(TransferTest, StreamsFromAServerWithoutRanges) {
  server_.change = [](size_t number, const FakeServer::Seen& seen) {
    FakeServer::Change change;
    change.no_ranges = true;
    if (!seen.range && number < 4) change.cut_after = 100'000 * number;
    return change;
  };
  fetch();
  expect_right();
}

TEST_F(TransferTest, StreamsTheRestWhenAServerLosesItsRanges) {
  interrupt_after(1'000'000);
  server_.change = [](size_t, const FakeServer::Seen&) {
    FakeServer::Change change;
    change.no_ranges = true;
    return change;
  };
  const Transferred done = fetch();
  EXPECT_LT(done.fetched, remote_.size);
  expect_right();
}

TEST_F(TransferTest, BeginsAnewWhenTheFileChangesOnTheContentHost) {
  const std::string old = test_bytes(server_.content.size(), 7);
  server_.change = [&](size_t number, const FakeServer::Seen&) {
    FakeServer::Change change;
    if (number < 6) {
      change.content = old;
      change.etag = "\"old\"";
    }
    return change;
  };
  fetch();
  expect_right();
}

TEST_F(TransferTest, SeesAChangeOfAFileWithoutADigest) {
  remote_.sha256.reset();
  remote_.etag.clear();
  const std::string old = test_bytes(server_.content.size(), 7);
  server_.change = [&](size_t number, const FakeServer::Seen&) {
    FakeServer::Change change;
    if (number < 6) {
      change.content = old;
      change.etag = "\"old\"";
    }
    return change;
  };
  EXPECT_EQ(fetch().sha256, sha256(server_.content));
  expect_right();
}

TEST_F(TransferTest, TellsThatTheHubHasAnotherFileByNow) {
  server_.etag = "\"second\"";
  EXPECT_THROW(fetch(), RemoteFileChanged);
  remote_.etag = "second";
  remote_.size += 1;
  EXPECT_THROW(fetch(), RemoteFileChanged);
}

TEST_F(TransferTest, ThrowsAwayWhatHasAnotherDigest) {
  remote_.sha256 = sha256("something else");
  EXPECT_EQ(failure("digest"), ErrorCode::kCorrupt);
  EXPECT_FALSE(files_.info(path_));
  EXPECT_FALSE(files_.info(path_ + ".partial"));
  EXPECT_FALSE(files_.info(path_ + ".partial.map"));
}

TEST_F(TransferTest, ChecksSmallFilesByGitsName) {
  remote_.sha256.reset();
  server_.content = "hello\n";
  remote_.size = 6;
  remote_.git_sha1 = "ce013625030ba8dba906f756967f9e9ca394464a";
  EXPECT_EQ(fetch().sha256, sha256("hello\n"));
  expect_right();
  files_.remove(path_);
  remote_.git_sha1[0] = 'd';
  failure("digest");
}

TEST_F(TransferTest, ManyCallersShareOneDownload) {
  Transfers transfers(files_, clock_, server_.connect(), options_);
  // Nothing goes on until all are in.
  std::atomic<int> entered{0};
  server_.change = [&](size_t, const FakeServer::Seen&) {
    FakeServer::Change change;
    change.before = [&] {
      while (entered < 5) std::this_thread::yield();
    };
    return change;
  };
  std::vector<std::thread> threads;
  std::atomic<int> shared{0};
  for (int i = 0; i < 5; ++i) {
    threads.emplace_back([&] {
      bool counted = false;
      const Transferred done = fetch_with(transfers, [&](const TransferProgress&) {
        if (!counted) ++entered;
        counted = true;
      });
      shared += done.shared;
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect_right();
  EXPECT_EQ(server_.sent(), remote_.size);
  EXPECT_EQ(shared, 4);
}

TEST_F(TransferTest, OneCallersCancellationLeavesTheOthersAlone) {
  Transfers transfers(files_, clock_, server_.connect(), options_);
  std::atomic<bool> go{false};
  server_.change = [&](size_t, const FakeServer::Seen&) {
    FakeServer::Change change;
    change.before = [&] {
      while (!go) std::this_thread::yield();
    };
    return change;
  };
  CancellationToken token;
  std::atomic<bool> second_is_in{false};
  std::thread first([&] {
    EXPECT_THROW(fetch_with(transfers, nullptr, token), Error);
    go = true;
  });
  std::thread second(
      [&] { fetch_with(transfers, [&](const TransferProgress&) { second_is_in = true; }); });
  while (!second_is_in) std::this_thread::yield();
  token.cancel();
  first.join();
  second.join();
  expect_right();
}

TEST_F(TransferTest, ThrowsWhatTheReportThrows) {
  EXPECT_THROW(fetch([](const TransferProgress&) { throw std::runtime_error("enough"); }),
               std::runtime_error);
  fetch();
  expect_right();
}

TEST_F(TransferTest, PausesAndGoesOnToTheByte) {
  Transfers transfers(files_, clock_, server_.connect(), options_);
  std::atomic<size_t> requests{0};
  std::atomic<bool> was_paused{false};
  server_.change = [&](size_t number, const FakeServer::Seen&) {
    FakeServer::Change change;
    requests = number;
    if (number == 6) change.before = [&] { transfers.pause(); };
    return change;
  };
  fetch_with(transfers, [&](const TransferProgress& now) {
    if (now.phase == TransferPhase::kPaused && now.done > 0) {
      was_paused = true;
      transfers.resume();
    }
  });
  EXPECT_TRUE(was_paused);
  expect_right();
}

TEST_F(TransferTest, TakesOverFromAConnectionThatStandsStill) {
  options_.chunks.steal_seconds = 2;
  server_.change = [](size_t number, const FakeServer::Seen&) {
    FakeServer::Change change;
    if (number == 3) {
      change.cut_after = 7000;
      change.hangs = true;
    }
    return change;
  };
  fetch();
  expect_right();
}

TEST_F(TransferTest, WaitsForAnotherProcessAndTakesOver) {
  FileTarget other(files_, path_);
  ASSERT_TRUE(other.try_claim());
  {
    ChunkMap map(files_, other.path(), {remote_.size, 16 * kKiB, remote_.sha256->str()}, "boot");
    map.data().write_at(0, std::as_bytes(std::span(server_.content)).first(16 * kKiB));
    map.mark_written(0);
  }
  bool has_waited = false;
  const Transferred done = fetch([&](const TransferProgress& now) {
    if (now.phase != TransferPhase::kWaiting) return;
    EXPECT_EQ(now.done, 16 * kKiB);
    has_waited = true;
    other.release();  // it dies
  });
  EXPECT_TRUE(has_waited);
  EXPECT_EQ(done.fetched, remote_.size - 16 * kKiB);
  expect_right();
}

TEST_F(TransferTest, AWaitForAnotherProcessCanBeCancelled) {
  FileTarget other(files_, path_);
  ASSERT_TRUE(other.try_claim());
  CancellationToken token;
  EXPECT_THROW(fetch([&](const TransferProgress&) { token.cancel(); }, token), Error);
}

TEST_F(TransferTest, AFailureToPublishKeepsWhatIsThere) {
  class FullTarget final : public TransferTarget {
   public:
    explicit FullTarget(TransferTarget& inner) : inner_(inner) {}
    std::string path() const override { return inner_.path(); }
    bool is_there() override { return inner_.is_there(); }
    bool try_claim() override { return inner_.try_claim(); }
    void release() override { inner_.release(); }
    void publish(const HashedBytes&) override {
      throw Error(ErrorCode::kOutOfMemory, "the disk is full");
    }

   private:
    TransferTarget& inner_;
  };
  FileTarget inner(files_, path_);
  Transfers transfers(files_, clock_, server_.connect(), options_);
  TransferRequest request;
  request.file = remote_;
  request.target = std::make_shared<FullTarget>(inner);
  EXPECT_THROW(transfers.fetch(request), Error);
  EXPECT_EQ(fetch().fetched, 0u) << "all of it was there";
  expect_right();
}

}  // namespace
}  // namespace omg
