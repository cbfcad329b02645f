// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/doctor/store_checks.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "base/testing/temporary_folder.h"

namespace omg::cli::doctor {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

FolderState folder(const std::string& kind, uint64_t free_bytes = 100 * kGiB) {
  FolderState state;
  state.path = "/home/me/models";
  state.configured_by = "built in";
  state.exists = true;
  state.kind = kind;
  state.free_bytes = free_bytes;
  state.total_bytes = 200 * kGiB;
  return state;
}

TEST(CheckFolder, WhereItLies) {
  EXPECT_EQ(check_folder(folder("ext4")).level, Level::kOk);
  EXPECT_EQ(check_folder(folder("")).text, "/home/me/models");
  EXPECT_TRUE(has(check_folder(folder("overlay")).text, "goes when its container does"));
  for (const char* kind : {"nfs", "cifs", "9p"}) {
    const Finding network = check_folder(folder(kind));
    EXPECT_EQ(network.level, Level::kWarning);
    EXPECT_TRUE(has(network.text, "network disk"));
    EXPECT_TRUE(has(network.fix, "omg config set models"));
  }
  EXPECT_TRUE(has(check_folder(folder("tmpfs")).why, "gone when the machine restarts"));
}

TEST(CheckFolder, WhatCannotBeWrittenIsAProblem) {
  FolderState state = folder("ext4");
  state.refusal = "Permission denied in /home/me";
  Finding finding = check_folder(state);
  EXPECT_EQ(finding.level, Level::kProblem);
  EXPECT_TRUE(has(finding.text, "Permission denied in /home/me"));
  EXPECT_TRUE(has(finding.fix, "chown"));
  state.configured_by = "OMG_MODELS";
  EXPECT_TRUE(has(check_folder(state).fix, "OMG_MODELS names it"));
}

TEST(CheckDisk, WhatIsFree) {
  EXPECT_EQ(check_disk(folder("ext4")).text, "100.0 GiB free of 200.0 GiB, ext4");
  EXPECT_EQ(check_disk(folder("ext4")).level, Level::kOk);
  EXPECT_EQ(check_disk(folder("ext4", 2 * kGiB)).level, Level::kWarning);
  const Finding full = check_disk(folder("ext4", 1000));
  EXPECT_EQ(full.level, Level::kProblem);
  EXPECT_TRUE(has(full.fix, "omg gc"));
  FolderState unknown = folder("", 0);
  unknown.total_bytes = 0;
  EXPECT_EQ(check_disk(unknown).level, Level::kOk);
}

TEST(CheckModels, WhatIsBrokenIsNamed) {
  ModelsState state;
  EXPECT_TRUE(has(check_models(state).text, "none yet"));
  state.models = 2;
  state.bytes = 3 * kGiB;
  EXPECT_EQ(check_models(state).text, "2 here, 3.0 GiB");
  state.incomplete = {"llama:1b"};
  EXPECT_EQ(check_models(state).level, Level::kWarning);
  EXPECT_TRUE(has(check_models(state).fix, "omg verify llama:1b --repair"));
  state.unreadable = {"/m/manifests/x.json: line 1", "/m/state.db: no database"};
  EXPECT_EQ(check_models(state).level, Level::kProblem);
  EXPECT_EQ(check_models(state).text, "/m/manifests/x.json: line 1 (and 1 more)");
  state.refusal = "cannot open it";
  EXPECT_EQ(check_models(state).text, "cannot open it");
}

TEST(LookAtFolder, TriesAndLeavesNothing) {
  const testing::TemporaryFolder temporary;
  FolderState state = look_at_folder(temporary.path());
  EXPECT_TRUE(state.exists);
  EXPECT_EQ(state.refusal, "");
  EXPECT_GT(state.total_bytes, 0u);
  EXPECT_TRUE(std::filesystem::is_empty(temporary.path()));

  state = look_at_folder(temporary / "not/yet");
  EXPECT_FALSE(state.exists);
  EXPECT_EQ(state.refusal, "");
  EXPECT_TRUE(std::filesystem::is_empty(temporary.path()));

  std::ofstream(temporary / "file") << "x";
  state = look_at_folder(temporary / "file/models");
  EXPECT_TRUE(has(state.refusal, "file is no folder"));
  state = look_at_folder("/proc/models");  // nobody can make anything there
  EXPECT_TRUE(has(state.refusal, "in /proc"));
}

TEST(LookAtModels, ABrokenManifestAndAFileInTheWay) {
  const testing::TemporaryFolder temporary;
  EXPECT_EQ(look_at_models(temporary.path()).refusal, "");
  std::ofstream(temporary / "manifests/x.json") << "{";
  const ModelsState broken = look_at_models(temporary.path());
  ASSERT_EQ(broken.unreadable.size(), 1u);
  EXPECT_TRUE(has(broken.unreadable[0], "manifests/x.json"));
  std::ofstream(temporary / "version") << "99\n";
  EXPECT_TRUE(has(look_at_models(temporary.path()).refusal, "newer ohmygpu"));
}

}  // namespace
}  // namespace omg::cli::doctor
