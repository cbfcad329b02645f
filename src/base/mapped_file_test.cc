// SPDX-License-Identifier: Apache-2.0
#include "base/mapped_file.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "base/error.h"

namespace omg {
namespace {

TEST(MappedFile, ReadsReleasesAndReadsAgain) {
  const auto path = std::filesystem::temp_directory_path() / "omg_mapped_file_test";
  std::ofstream(path) << std::string(1 << 20, 'x');
  const auto file = MappedFile::open(path);
  ASSERT_EQ(file.bytes().size(), 1u << 20);
  file.prefetch(file.bytes());
  file.release(file.bytes().subspan(5000, 900000));
  for (const auto byte : file.bytes()) ASSERT_EQ(byte, std::byte{'x'});
  std::filesystem::remove(path);
}

TEST(MappedFile, EmptyFileIsEmpty) {
  const auto path = std::filesystem::temp_directory_path() / "omg_mapped_file_empty";
  std::ofstream{path};
  EXPECT_TRUE(MappedFile::open(path).bytes().empty());
  std::filesystem::remove(path);
}

TEST(MappedFile, BytesOfTheProgramLookTheSame) {
  static constexpr std::byte kBytes[3] = {std::byte{1}, std::byte{2}, std::byte{3}};
  {
    MappedFile file = MappedFile::of_program("/its/name", kBytes);
    EXPECT_EQ(file.path(), "/its/name");
    file.release(file.bytes());
    const MappedFile moved = std::move(file);
    EXPECT_EQ(moved.bytes().data(), kBytes);
  }
  EXPECT_EQ(kBytes[2], std::byte{3});
}

TEST(MappedFile, RefusesFoldersDevicesAndNothing) {
  for (const char* path : {"/", "/dev/zero", "/no/such/file"}) {
    EXPECT_THROW(MappedFile::open(path), Error) << path;
  }
}

}  // namespace
}  // namespace omg
