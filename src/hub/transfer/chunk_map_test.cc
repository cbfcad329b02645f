// SPDX-License-Identifier: Apache-2.0
#include "hub/transfer/chunk_map.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/testing/temporary_folder.h"
#include "hub/transfer/front_hasher.h"

namespace omg {
namespace {

using testing::read_test_file;
using testing::write_test_file;

class ChunkMapTest : public ::testing::Test {
 protected:
  testing::TemporaryFolder folder_;
  RealFileSystem files_;
  std::string partial_ = folder_ / "x";
  ChunkMapKey key_{10, 3, "sha256:x"};  // 4 granules, the last one short

  std::vector<bool> done(const std::string& boot) {
    return ChunkMap(files_, partial_, key_, boot).done();
  }
};

TEST_F(ChunkMapTest, BeginsWithNothingInASparseFile) {
  EXPECT_EQ(done("boot"), std::vector<bool>(4, false));
  EXPECT_EQ(files_.info(partial_)->size, 10u);
  EXPECT_EQ(ChunkMap::peek(files_, partial_), 0u);
}

TEST_F(ChunkMapTest, RemembersWhatWasWrittenAcrossAKill) {
  {
    ChunkMap map(files_, partial_, key_, "boot");
    map.mark_written(1);
    map.mark_written(3);
  }
  EXPECT_EQ(ChunkMap::peek(files_, partial_), 6u);
  EXPECT_EQ(done("boot"), (std::vector<bool>{false, true, false, true}));
}

TEST_F(ChunkMapTest, TrustsOnlyWhatWasSyncedAfterTheMachineStopped) {
  {
    ChunkMap map(files_, partial_, key_, "boot 1");
    map.mark_written(0);
    map.mark_written(3);
    map.sync();
    map.mark_written(1);
  }
  EXPECT_EQ(done("boot 2"), (std::vector<bool>{true, false, false, true}));
  EXPECT_EQ(done("boot 2"), (std::vector<bool>{true, false, false, true}));
  // What was dropped stays dropped, also for whoever comes under the first id again.
  EXPECT_EQ(done("boot 1"), (std::vector<bool>{true, false, false, true}));
  // A system with no boot id trusts what was synced.
  EXPECT_EQ(done(""), (std::vector<bool>{true, false, false, true}));
}

TEST_F(ChunkMapTest, BeginsAnewForAnotherFile) {
  const auto mark = [&] { ChunkMap(files_, partial_, key_, "boot").mark_written(2); };
  mark();
  key_.identity = "sha256:y";
  EXPECT_EQ(done("boot"), std::vector<bool>(4, false));
  mark();
  key_.size = 11;
  EXPECT_EQ(done("boot"), std::vector<bool>(4, false));
  EXPECT_EQ(files_.info(partial_)->size, 11u);
  mark();
  key_.granule = 2;
  EXPECT_EQ(done("boot"), std::vector<bool>(6, false));
}

TEST_F(ChunkMapTest, BeginsAnewWhereAnythingIsDamaged) {
  const std::string map_path = ChunkMap::path_for(partial_);
  const auto mark = [&] {
    ChunkMap map(files_, partial_, key_, "boot");
    map.data().write_at(0, std::as_bytes(std::span("0123456789", 10)));
    for (uint64_t i = 0; i < 4; ++i) map.mark_written(i);
  };
  mark();
  const std::string good = read_test_file(map_path);
  ASSERT_EQ(good.size(), 128u + 4);
  for (size_t i = 0; i < 128; ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    write_test_file(map_path, bad);
    EXPECT_EQ(done("boot"), std::vector<bool>(4, false)) << "byte " << i;
    EXPECT_EQ(read_test_file(partial_), std::string(10, '\0'));
    mark();
  }
  write_test_file(map_path, good.substr(0, 130));
  EXPECT_EQ(done("boot"), std::vector<bool>(4, false));
  mark();
  write_test_file(partial_, "short");
  EXPECT_EQ(done("boot"), std::vector<bool>(4, false));
  mark();
  files_.remove(partial_);
  EXPECT_EQ(done("boot"), std::vector<bool>(4, false));
}

TEST_F(ChunkMapTest, RefusesSizesBeyondReason) {
  key_.size = UINT64_MAX;
  EXPECT_THROW(ChunkMap(files_, partial_, key_, "boot"), Error);
  EXPECT_FALSE(files_.info(partial_));
}

TEST_F(ChunkMapTest, RemovesBothFiles) {
  done("boot");
  ChunkMap::remove(files_, partial_);
  EXPECT_FALSE(files_.info(partial_));
  EXPECT_FALSE(files_.info(ChunkMap::path_for(partial_)));
  EXPECT_FALSE(ChunkMap::peek(files_, partial_));
  ChunkMap::remove(files_, partial_);
}

TEST(SystemBootId, IsTheSameTwice) {
  EXPECT_EQ(system_boot_id(), system_boot_id());
}

TEST(FrontHasher, HashesWhatLiesBeforeTheFront) {
  testing::TemporaryFolder folder;
  RealFileSystem files;
  const std::string bytes = std::string(5u << 20, 'a') + "the end";
  write_test_file(folder / "x", bytes);
  const auto file = files.open(folder / "x", OpenMode::kRead);
  FrontHasher hasher(*file, bytes.size(), true);
  EXPECT_FALSE(hasher.is_finished());
  for (uint64_t front = 0; front < bytes.size(); front += 77'777) hasher.advance(front);
  EXPECT_FALSE(hasher.is_finished());
  hasher.advance(bytes.size());
  const FrontHasher::Result result = hasher.result();
  EXPECT_EQ(result.sha256, sha256(bytes));
  EXPECT_EQ(hasher.hashed(), bytes.size());
}

TEST(FrontHasher, KnowsGitsNameOfAFile) {
  testing::TemporaryFolder folder;
  RealFileSystem files;
  write_test_file(folder / "x", "hello\n");
  const auto file = files.open(folder / "x", OpenMode::kRead);
  FrontHasher hasher(*file, 6, true);
  hasher.advance(6);
  // As `printf 'hello\n' | git hash-object --stdin` says.
  EXPECT_EQ(hasher.result().git_sha1, "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST(FrontHasher, TellsOfAFileThatBecameShorter) {
  testing::TemporaryFolder folder;
  RealFileSystem files;
  write_test_file(folder / "x", "abc");
  const auto file = files.open(folder / "x", OpenMode::kRead);
  FrontHasher hasher(*file, 10, false);
  hasher.advance(10);
  EXPECT_THROW(hasher.result(), Error);
}

TEST(FrontHasher, StopsBeforeItsEnd) {
  testing::TemporaryFolder folder;
  RealFileSystem files;
  write_test_file(folder / "x", "abc");
  const auto file = files.open(folder / "x", OpenMode::kRead);
  FrontHasher hasher(*file, 3, false);
  hasher.advance(2);
}

}  // namespace
}  // namespace omg
