// SPDX-License-Identifier: Apache-2.0
#include "base/file_system.h"

#include <csignal>
#include <functional>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "base/build_id.h"
#include "base/error.h"
#include "base/private_file.h"
#include "base/testing/temporary_folder.h"

namespace omg {
namespace {

using testing::read_test_file;
using testing::TemporaryFolder;
using testing::write_test_file;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

TEST(RealFileSystem, ReadsAndWritesRanges) {
  const TemporaryFolder folder;
  RealFileSystem files;
  const auto file = files.open(folder / "a", OpenMode::kCreateNew);
  file->write_at(1 << 20, bytes_of("end"));
  file->write_at(0, bytes_of("begin"));
  file->sync();
  const FileInfo info = file->info();
  EXPECT_TRUE(info.is_file());
  EXPECT_EQ(info.size, (1u << 20) + 3);
  EXPECT_EQ(files.info(folder / "a")->inode, info.inode);
  std::string read(10, '?');
  EXPECT_EQ(file->read_at((1 << 20) - 2, std::as_writable_bytes(std::span(read))), 5u);
  EXPECT_EQ(read.substr(0, 5), std::string("\0\0end", 5));
  file->resize(3);
  EXPECT_EQ(read_file(files, folder / "a", 100), "beg");
  EXPECT_EQ(code_of([&] { read_file(files, folder / "a", 2); }), ErrorCode::kLimitExceeded);
  EXPECT_EQ(code_of([&] { files.open(folder / "a", OpenMode::kCreateNew); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { files.open(folder / "b", OpenMode::kRead); }), ErrorCode::kNotFound);
}

TEST(RealFileSystem, OpensNothingButRegularFiles) {
  const TemporaryFolder folder;
  RealFileSystem files;
  write_test_file(folder / "file", "x");
  files.make_link("file", folder / "link");
  EXPECT_EQ(files.read_link(folder / "link"), "file");
  EXPECT_EQ(files.info(folder / "link")->kind, FileInfo::Kind::kLink);
  EXPECT_EQ(files.real_path(folder / "link"), folder / "file");
  EXPECT_EQ(code_of([&] { files.open(folder / "link", OpenMode::kRead); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { files.open(folder.path(), OpenMode::kRead); }),
            ErrorCode::kInvalidArgument);
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(code_of([&] { files.open(folder / "pipe", OpenMode::kRead); }),
            ErrorCode::kInvalidArgument);
}

TEST(RealFileSystem, ChangesNames) {
  const TemporaryFolder folder;
  RealFileSystem files;
  make_folders(files, folder / "x/y/z");
  EXPECT_FALSE(files.make_folder(folder / "x/y"));
  write_file_atomically(files, folder / "x/tmp", folder / "x/y/file", "one");
  write_file_atomically(files, folder / "x/tmp", folder / "x/y/file", "two");
  EXPECT_EQ(read_test_file(folder / "x/y/file"), "two");
  EXPECT_EQ(files.list(folder / "x"), std::vector<std::string>{"y"});
  EXPECT_TRUE(files.hard_link(folder / "x/y/file", folder / "x/second"));
  EXPECT_EQ(files.info(folder / "x/second")->links, 2u);
  EXPECT_TRUE(files.remove(folder / "x/second"));
  EXPECT_FALSE(files.remove(folder / "x/second"));
  EXPECT_EQ((files.list(folder / "x/y")), (std::vector<std::string>{"file", "z"}));
  EXPECT_EQ(code_of([&] { files.remove_folder(folder / "x/y"); }), ErrorCode::kIo);
  EXPECT_TRUE(files.remove_folder(folder / "x/y/z"));
  EXPECT_FALSE(files.remove_folder(folder / "x/y/z"));
  EXPECT_GT(files.free_bytes(folder.path()), 0u);
  // An error leaves no temporary file.
  EXPECT_EQ(
      code_of([&] { write_file_atomically(files, folder / "tmp", folder / "no/such/file", "x"); }),
      ErrorCode::kNotFound);
  EXPECT_FALSE(files.info(folder / "tmp"));
}

TEST(RealFileSystem, ReflinksOrSaysThatItCannot) {
  const TemporaryFolder folder;
  RealFileSystem files;
  write_test_file(folder / "a", "shared");
  if (files.reflink(folder / "a", folder / "b")) {
    EXPECT_EQ(read_test_file(folder / "b"), "shared");
  } else {
    EXPECT_FALSE(files.info(folder / "b"));
  }
}

TEST(RealFileSystem, LocksAgainstOthersAndFollowsTheName) {
  const TemporaryFolder folder;
  RealFileSystem files;
  auto shared = files.lock(folder / "lock", LockMode::kShared, LockWait::kNo);
  auto second = files.lock(folder / "lock", LockMode::kShared, LockWait::kNo);
  EXPECT_TRUE(shared && second);
  EXPECT_FALSE(files.lock(folder / "lock", LockMode::kExclusive, LockWait::kNo));
  shared.reset();
  second.reset();
  auto exclusive = files.lock(folder / "lock", LockMode::kExclusive, LockWait::kNo);
  ASSERT_TRUE(exclusive);
  EXPECT_FALSE(files.lock(folder / "lock", LockMode::kShared, LockWait::kNo));
  // Who waits for a file that is then removed and made anew gets the new one.
  std::unique_ptr<FileLock> waited;
  std::thread waiter(
      [&] { waited = files.lock(folder / "lock", LockMode::kExclusive, LockWait::kYes); });
  files.remove(folder / "lock");
  write_test_file(folder / "lock", "");
  exclusive.reset();
  waiter.join();
  EXPECT_FALSE(files.lock(folder / "lock", LockMode::kShared, LockWait::kNo));
}

TEST(RealFileSystem, LocksWhatIsThereWithoutMakingIt) {
  const TemporaryFolder folder;
  RealFileSystem files;
  const auto lock = [&](LockMode mode) {
    return files.lock(folder / "blob", mode, LockWait::kYes, LockMissing::kRefuse);
  };
  EXPECT_FALSE(lock(LockMode::kShared));
  EXPECT_FALSE(files.info(folder / "blob"));
  write_test_file(folder / "blob", "x");
  auto held = lock(LockMode::kExclusive);
  ASSERT_TRUE(held);
  std::thread waiter([&] { EXPECT_FALSE(lock(LockMode::kShared)); });  // it is removed meanwhile
  files.remove(folder / "blob");
  held.reset();
  waiter.join();
  EXPECT_FALSE(files.info(folder / "blob"));
}

TEST(RealFileSystem, LosesTheLocksOfAProcessThatDies) {
  const TemporaryFolder folder;
  RealFileSystem files;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = files.lock(folder / "lock", LockMode::kExclusive, LockWait::kNo);
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_FALSE(files.lock(folder / "lock", LockMode::kExclusive, LockWait::kNo));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(files.lock(folder / "lock", LockMode::kExclusive, LockWait::kNo));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(RealFileSystem, APrivateFileIsOneUsersAndOneHoldersAlone) {
  const TemporaryFolder folder;
  RealFileSystem files;
  make_private_folder(files, folder / "a/b");
  struct stat status;
  ASSERT_EQ(::stat((folder / "a/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0700u);
  write_test_file(folder / "a/b/file", "open to all");
  ::chmod((folder / "a/b/file").c_str(), 0666);
  {
    const auto file = open_private_file(folder / "a/b/file");
    ASSERT_EQ(::stat((folder / "a/b/file").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777u, 0600u);
    EXPECT_EQ(file->info().size, 11u);  // as it was
    try {
      open_private_file(folder / "a/b/file");
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
    }
    EXPECT_NO_THROW(open_private_file(folder / "a/b/another"));
  }
  EXPECT_NO_THROW(open_private_file(folder / "a/b/file"));
  files.make_link("file", folder / "a/b/link");
  EXPECT_THROW(open_private_file(folder / "a/b/link"), Error);
}

TEST(BuildId, IsThisProgramsOwn) {
  const std::string id = build_id();
  EXPECT_EQ(id, build_id());
  EXPECT_GE(id.find(" glibc "), 40u) << id;  // the digest is SHA-1
}

}  // namespace
}  // namespace omg
