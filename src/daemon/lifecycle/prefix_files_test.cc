// SPDX-License-Identifier: Apache-2.0
//
// Files of several models within one limit.
#include "daemon/lifecycle/prefix_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/private_file.h"
#include "base/testing/temporary_folder.h"

namespace omg {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class PrefixFiles : public ::testing::Test {
 protected:
  /// A file of a run that has ended, which takes so many MiB; later than those before.
  std::string add(const std::string& key, uint64_t mib) {
    make_private_folder(files_, folder_);
    const std::string path = folder_ + "/" + key + ".kv";
    const auto file = open_private_file(path);
    const std::vector<std::byte> bytes(mib * kMiB, std::byte{1});
    file->write_at(0, bytes);
    file->resize(64 * kMiB);  // with a hole
    timespec times[2] = {{++clock_, 0}, {clock_, 0}};
    ::utimensat(AT_FDCWD, path.c_str(), times, 0);
    return path;
  }
  PrefixStorage plan(const std::string& key, uint64_t mib) {
    return plan_prefix_file(files_, {folder_, mib * kMiB}, key, known_);
  }
  /// A disk may need a little more than the bytes.
  static double mib(const PrefixStorage& storage) {
    return static_cast<double>(storage.max_bytes) / kMiB;
  }
  bool is_there(const std::string& path) { return files_.info(path).has_value(); }

  testing::TemporaryFolder temporary_;
  RealFileSystem files_;
  std::string folder_ = temporary_ / "cache/prefixes";
  const std::string a_ = sha256("a").hex(), b_ = sha256("b").hex(), c_ = sha256("c").hex();
  std::set<std::string> known_ = {a_, b_, c_};
  time_t clock_ = 1'000'000;
};

TEST_F(PrefixFiles, TheFirstModelGetsAllOfIt) {
  const PrefixStorage storage = plan(a_, 100);
  EXPECT_EQ(storage.path, folder_ + "/" + a_ + ".kv");
  EXPECT_EQ(storage.max_bytes, 100 * kMiB);
  EXPECT_EQ(storage.most_bytes, 100 * kMiB);
  EXPECT_EQ(storage.weights, a_);
  struct stat status;
  ASSERT_EQ(::stat(folder_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0700u);
  open_private_file(storage.path);
  ASSERT_EQ(::stat(storage.path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
}

TEST_F(PrefixFiles, OthersKeepAtMostHalf) {
  const auto a = add(a_, 6), b = add(b_, 5);
  EXPECT_NEAR(mib(plan(c_, 30)), 19, 0.5);  // less the 11 that they take
  EXPECT_TRUE(is_there(a));
  EXPECT_NEAR(mib(plan(c_, 20)), 15, 0.5);
  EXPECT_FALSE(is_there(a));  // written before b
  EXPECT_TRUE(is_there(b));
  EXPECT_EQ(plan(b_, 20).max_bytes, 20 * kMiB);  // its own does not count
  EXPECT_TRUE(is_there(b));
}

TEST_F(PrefixFiles, OnesOfModelsThatAreGoneGoFirst) {
  const auto a = add(a_, 2), b = add(b_, 2);
  known_.erase(b_);
  EXPECT_NEAR(mib(plan(c_, 30)), 28, 0.5);
  EXPECT_TRUE(is_there(a));
  EXPECT_FALSE(is_there(b));
}

TEST_F(PrefixFiles, WhatIsInUseStaysAndCountsInFull) {
  const auto a = add(a_, 2);
  const auto in_use = open_private_file(a);
  EXPECT_THROW(open_private_file(a), Error);
  EXPECT_EQ(plan(b_, 100).max_bytes, 36 * kMiB);
  EXPECT_EQ(plan(b_, 64).path, "");
  EXPECT_TRUE(is_there(a));
}

TEST_F(PrefixFiles, WhatIsNoneOfItsFilesIsLeftAlone) {
  const auto a = add(a_, 1);
  testing::write_test_file(folder_ + "/notes.kv", "mine");
  testing::write_test_file(folder_ + "/" + b_ + ".kv/file", "a folder");
  EXPECT_EQ(list_prefix_files(files_, folder_).size(), 1u);
  const ForgottenPrefixes gone = forget_prefix_files(files_, folder_);
  EXPECT_EQ(gone.files, 1u);
  EXPECT_GE(gone.bytes, kMiB);
  EXPECT_FALSE(is_there(a));
  EXPECT_TRUE(is_there(folder_ + "/notes.kv"));
  EXPECT_TRUE(list_prefix_files(files_, temporary_ / "nothing").empty());
}

TEST_F(PrefixFiles, ForgettingTakesThoseInUseToo) {
  const auto a = add(a_, 1);
  const auto in_use = open_private_file(a);
  EXPECT_EQ(forget_prefix_files(files_, folder_).in_use, 1u);
  EXPECT_FALSE(is_there(a));
}

}  // namespace
}  // namespace omg
