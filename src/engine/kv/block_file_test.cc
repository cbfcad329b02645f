// SPDX-License-Identifier: Apache-2.0
//
// Whatever became of the file, a block that comes out of it is the one that was put there for that
// text, or it does not come.
#include "engine/kv/block_file.h"

#include <atomic>
#include <cstring>
#include <future>
#include <gtest/gtest.h>
#include <random>

#include "engine/kv/prefix_tree.h"
#include "engine/kv/testing/memory_file.h"

namespace omg {
namespace {

using testing::MemoryDisk;
using testing::MemoryFile;

constexpr uint64_t kBytes = 5000;   // of a block: two pages with some left over
constexpr uint64_t kStride = 8192;  // so this in the file
constexpr uint64_t kSlotsAt = 8192;

auto soon() {
  return BlockFile::Clock::now() + std::chrono::seconds(20);
}

const Digest kKey = sha256("a model and all that counts");

BlockFileOptions options(uint32_t slots, const Digest& key = kKey) {
  BlockFileOptions options{.key = key};
  options.block_bytes = kBytes;
  options.max_bytes = options.most_bytes = kSlotsAt + slots * kStride;
  return options;
}

std::unique_ptr<BlockFile> open(MemoryDisk& disk, const BlockFileOptions& options) {
  return std::make_unique<BlockFile>(std::make_shared<MemoryFile>(disk), options);
}

/// A text of `blocks` blocks: the digest of each beginning, the key first.
std::vector<Digest> chain(int32_t first, uint32_t blocks, const Digest& key = kKey) {
  std::vector<Digest> texts{key};
  for (uint32_t i = 0; i < blocks; ++i) {
    std::vector<int32_t> tokens(kKvBlockTokens);
    for (auto& token : tokens) token = first++;
    texts.push_back(text_after(texts.back(), tokens));
  }
  return texts;
}

/// What the block of a text holds, in these tests.
std::vector<std::byte> content(const Digest& text) {
  std::vector<std::byte> bytes(kBytes);
  for (size_t i = 0; i < kBytes; ++i) bytes[i] = std::byte(text.bytes()[i % 32] + i / 32);
  return bytes;
}

BlockFile::Put put(BlockFile& file, const std::vector<Digest>& texts, uint32_t index) {
  return file.put(texts[index + 1], texts[index], index, [&](std::span<std::byte> bytes) {
    const auto wanted = content(texts[index + 1]);
    ASSERT_EQ(bytes.size(), wanted.size());
    std::memcpy(bytes.data(), wanted.data(), bytes.size());
  });
}

void put_all(BlockFile& file, const std::vector<Digest>& texts) {
  for (uint32_t i = 0; i + 1 < texts.size(); ++i) put(file, texts, i);
  ASSERT_TRUE(file.drain(soon()));
}

/// How many of the text's blocks come, all of them right.
size_t read(BlockFile& file, const std::vector<Digest>& texts, size_t most = SIZE_MAX) {
  std::promise<size_t> ended;
  BlockFile::Read job;
  job.texts.assign(texts.begin() + 1, texts.end());
  job.place = [&](size_t index, std::span<const std::byte> bytes) {
    if (index == most) return false;
    const auto wanted = content(texts[index + 1]);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), wanted.begin(), wanted.end()));
    return true;
  };
  job.on_end = [&](size_t count) { ended.set_value(count); };
  file.read(std::move(job));
  return ended.get_future().get();
}

TEST(BlockFile, KeepsBlocksFromOneLifeToTheNext) {
  MemoryDisk disk;
  const auto text = chain(0, 5);
  {
    const auto file = open(disk, options(8));
    EXPECT_EQ(file->slots(), 8u);
    EXPECT_EQ(read(*file, text), 0u);
    put_all(*file, text);
    EXPECT_EQ(file->blocks(), 5u);
  }
  const auto file = open(disk, options(8));
  EXPECT_EQ(file->blocks(), 5u);
  EXPECT_EQ(disk.bytes.size(), kSlotsAt + 8 * kStride);
  for (uint32_t i = 1; i <= 5; ++i) EXPECT_TRUE(file->use(text[i]));
  EXPECT_FALSE(file->use(chain(1, 1)[1]));
  EXPECT_EQ(read(*file, text), 5u);
  EXPECT_EQ(read(*file, text, 2), 2u);
  EXPECT_EQ(put(*file, text, 3), BlockFile::Put::kNeedless);
}

TEST(BlockFile, IsOfOneModelAndOneSizeOfBlocksAlone) {
  for (const bool other_key : {true, false}) {
    MemoryDisk disk;
    put_all(*open(disk, options(4)), chain(0, 3));
    auto other = options(4, other_key ? sha256("another") : kKey);
    if (!other_key) other.block_bytes = kBytes - 8;
    {
      const auto file = open(disk, other);
      EXPECT_EQ(file->blocks(), 0u);
      EXPECT_EQ(read(*file, chain(0, 3)), 0u);
    }
    EXPECT_EQ(open(disk, options(4))->blocks(), 0u);
  }
}

TEST(BlockFile, RefusesALimitWithoutRoomForABlock) {
  MemoryDisk disk;
  auto small = options(1);
  small.max_bytes -= 1;
  EXPECT_THROW(open(disk, small), Error);
}

TEST(BlockFile, GivesUpWhatWasUsedLongestAgoEndsFirst) {
  MemoryDisk disk;
  const auto a = chain(0, 2), b = chain(1000, 2), c = chain(2000, 1), d = chain(3000, 2);
  {
    const auto file = open(disk, options(4));
    put_all(*file, a);
    file->begin_round();
    put_all(*file, b);
    file->begin_round();
    EXPECT_TRUE(file->use(a[2]));
    EXPECT_TRUE(file->drain(soon()));
  }
  const auto file = open(disk, options(4));  // which was used when is remembered
  put_all(*file, c);
  EXPECT_EQ(read(*file, b), 1u);
  EXPECT_EQ(read(*file, a), 2u);
  EXPECT_EQ(read(*file, c), 1u);
  file->begin_round();
  put_all(*file, d);
  EXPECT_EQ(read(*file, b), 0u);
  EXPECT_EQ(read(*file, d), 2u);
  EXPECT_EQ(file->blocks(), 4u);
}

TEST(BlockFile, KeepsTheBeginningOfATextThatIsTooLong) {
  MemoryDisk disk;
  const auto file = open(disk, options(4));
  const auto text = chain(0, 10);
  put_all(*file, text);
  EXPECT_EQ(read(*file, text), 4u);
  EXPECT_EQ(put(*file, text, 9), BlockFile::Put::kNeedless);
  // As it comes out of memory: its end first.
  MemoryDisk other;
  const auto reverse = open(other, options(4));
  for (uint32_t i = 10; i-- > 0;) put(*reverse, text, i);
  EXPECT_TRUE(reverse->drain(soon()));
  EXPECT_EQ(read(*reverse, text), 4u);
}

TEST(BlockFile, CutToASmallerLimitKeepsWhatFits) {
  MemoryDisk disk;
  const auto text = chain(0, 6);
  put_all(*open(disk, options(8)), text);
  auto less = options(8);
  less.max_bytes = kSlotsAt + 4 * kStride;
  {
    const auto file = open(disk, less);
    EXPECT_EQ(disk.bytes.size(), less.max_bytes);
    EXPECT_EQ(read(*file, text), 4u);
  }
  // What was cut off is found missing when it is read, and can be written again.
  const auto file = open(disk, options(8));
  EXPECT_EQ(read(*file, text), 4u);
  put_all(*file, text);
  EXPECT_EQ(read(*file, text), 6u);
}

TEST(BlockFile, DoesNotWaitForASlowDisk) {
  MemoryDisk disk;
  auto limited = options(16);
  limited.queue_bytes = 3 * kBytes;
  const auto file = open(disk, limited);
  const auto text = chain(0, 12);
  disk.set_slow(true);
  uint32_t taken = 0;
  while (put(*file, text, taken) == BlockFile::Put::kTaken) ++taken;
  EXPECT_EQ(taken, 3u);
  EXPECT_EQ(put(*file, text, taken), BlockFile::Put::kNoRoom);
  EXPECT_FALSE(file->wait_for_room(BlockFile::Clock::now() + std::chrono::milliseconds(5)));
  EXPECT_TRUE(file->use(text[2]));  // those that wait are there
  disk.set_slow(false);
  EXPECT_TRUE(file->wait_for_room(soon()));
  EXPECT_EQ(read(*file, text), 3u);
}

TEST(BlockFile, OneThatWaitsToBeWrittenIsReadFromMemory) {
  MemoryDisk disk;
  const auto file = open(disk, options(16));
  const auto text = chain(0, 8);
  // The first holds up the thread; a read that comes goes before the other writes.
  disk.set_slow(true);
  for (uint32_t i = 0; i < 8; ++i) put(*file, text, i);
  auto count = std::async(std::launch::async, [&] { return read(*file, text); });
  disk.set_slow(false);
  EXPECT_EQ(count.get(), 8u);
  EXPECT_TRUE(file->drain(soon()));
  EXPECT_EQ(file->blocks(), 8u);
}

TEST(BlockFile, AFullDiskEndsWritingAndNothingElse) {
  MemoryDisk disk;
  std::atomic<int> problems = 0;
  auto watched = options(8);
  watched.on_problem = [&](const std::string&) { ++problems; };
  const auto file = open(disk, watched);
  const auto text = chain(0, 5);
  put(*file, text, 0);
  put(*file, text, 1);
  EXPECT_TRUE(file->drain(soon()));
  {
    const std::lock_guard lock(disk.mutex);
    disk.is_full = true;
  }
  put(*file, text, 2);
  EXPECT_TRUE(file->drain(soon()));
  EXPECT_EQ(put(*file, text, 3), BlockFile::Put::kNeedless);
  EXPECT_FALSE(file->wait_for_room(soon()));
  EXPECT_EQ(problems, 1);
  EXPECT_EQ(read(*file, text), 2u);
}

/// A page of the disk has old bytes, new ones, or whatever.
TEST(BlockFile, NothingThatIsDamagedComesOut) {
  MemoryDisk good;
  const auto text = chain(0, 6);
  put_all(*open(good, options(6)), text);
  std::mt19937 random(5);
  size_t lost = 0;
  for (int round = 0; round < 120; ++round) {
    MemoryDisk disk;
    disk.bytes = good.bytes;
    const uint32_t kind = random() % 4;
    const size_t at =
        kind == 3 ? random() % disk.bytes.size() : random() % (kSlotsAt / 2 + 6 * 128);
    if (kind == 0) {
      disk.bytes[at] ^= std::byte{static_cast<uint8_t>(1 + random() % 255)};
    } else if (kind == 1) {
      disk.bytes.resize(at);
    } else if (kind == 2) {
      const size_t size = std::min<size_t>(random() % 600, disk.bytes.size() - at);
      std::memset(disk.bytes.data() + at, static_cast<int>(random()), size);
    } else {
      const size_t from = random() % disk.bytes.size();
      const size_t most = disk.bytes.size() - std::max(from, at);
      std::memmove(disk.bytes.data() + at, disk.bytes.data() + from,
                   std::min<size_t>(random() % 9000, most));
    }
    const auto file = open(disk, options(6));
    const size_t count = read(*file, text);  // which compares
    EXPECT_LE(count, 6u);
    lost += count < 6 ? 1 : 0;
    put_all(*file, text);  // and it works on
    EXPECT_EQ(read(*file, text), 6u) << round;
  }
  EXPECT_GT(lost, 30u);
}

TEST(BlockFile, ARecordHoldsForItsSlotAlone) {
  MemoryDisk disk;
  const auto text = chain(0, 2);
  put_all(*open(disk, options(4)), text);
  const auto records = disk.bytes.begin() + BlockFileLayout::kHeaderBytes;
  const auto slots = disk.bytes.begin() + kSlotsAt;
  // The second block, with its record, in the place of the first.
  std::copy_n(records + BlockFileLayout::kRecordBytes, BlockFileLayout::kRecordBytes, records);
  std::copy_n(slots + kStride, kStride, slots);
  const auto file = open(disk, options(4));
  EXPECT_EQ(file->blocks(), 1u);
  EXPECT_EQ(read(*file, text), 0u);
}

/// Of all that was written since the last sync, which never was, any sectors may be on the disk.
TEST(BlockFile, APowerCutLosesEntriesAtMost) {
  MemoryDisk before;
  std::vector<std::vector<Digest>> texts;
  {
    const auto file = open(before, options(5));
    for (int32_t i = 0; i < 6; ++i) {
      texts.push_back(chain(i * 1000, 1 + static_cast<uint32_t>(i) % 3));
      file->begin_round();
      put_all(*file, texts.back());
    }
  }
  std::mt19937 random(8);
  size_t found = 0;
  for (int round = 0; round < 300; ++round) {
    MemoryDisk disk;
    disk.bytes.resize(before.bytes.size());
    const size_t writes = random() % (before.log.size() + 1);
    for (size_t i = 0; i < writes; ++i) {
      const auto& write = before.log[i];
      for (size_t at = 0; at < write.bytes.size(); at += 512) {
        if (random() % 16 == 0) continue;
        const size_t size = std::min<size_t>(512, write.bytes.size() - at);
        std::memcpy(disk.bytes.data() + write.offset + at, write.bytes.data() + at, size);
      }
    }
    const auto file = open(disk, options(5));
    for (const auto& text : texts) found += read(*file, text);
  }
  EXPECT_GT(found, 50u);
}

TEST(StoredBlock, AHeaderHasSizesThatAFileCanHave) {
  const BlockFileLayout layout{kKey, 1 << 20, 1000};
  const StoredHeader header = encode_header(layout);
  ASSERT_EQ(decode_header(header), layout);
  EXPECT_EQ(decode_header(std::span(header).first(100)), std::nullopt);
  for (const BlockFileLayout& bad :
       {BlockFileLayout{kKey, 0, 1000}, BlockFileLayout{kKey, UINT64_MAX, 1000},
        BlockFileLayout{kKey, 1 << 20, 0}, BlockFileLayout{kKey, 1 << 20, UINT32_MAX}}) {
    EXPECT_EQ(decode_header(encode_header(bad)), std::nullopt);
  }
  EXPECT_EQ(layout.slots_in(0), 0u);
  EXPECT_EQ(layout.slots_in(layout.slot_at(3)), 3u);
  EXPECT_EQ(layout.slots_in(UINT64_MAX), 1000u);
}

}  // namespace
}  // namespace omg
