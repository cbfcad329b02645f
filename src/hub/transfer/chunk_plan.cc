// SPDX-License-Identifier: Apache-2.0
//
// The bookkeeping of chunk_plan.h. A free piece may begin inside a granule: then the bytes of that
// granule before it are done, since pieces are only ever written from their begin.
#include "hub/transfer/chunk_plan.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace omg {
namespace {

/// A share small enough that everybody gets several before the file ends.
constexpr uint64_t kSharesPerWorker = 4;

uint64_t round_up(uint64_t value, uint64_t granule) {
  const uint64_t rest = value % granule;
  return rest == 0 ? value : value + (granule - rest);
}

}  // namespace

uint64_t chunk_length(uint64_t left, const ChunkPlanOptions& options) {
  const uint64_t share = left / (kSharesPerWorker * std::max<size_t>(options.workers, 1));
  const uint64_t wanted = std::clamp(share, options.least_chunk, options.most_chunk);
  return std::min(left, round_up(wanted, options.granule));
}

ChunkPlan::ChunkPlan(uint64_t size, const std::vector<bool>& done, const ChunkPlanOptions& options)
    : size_(size), options_(options) {
  uint64_t begin = 0;
  for (size_t i = 0; begin < size; ++i) {
    const uint64_t end = begin + std::min(options.granule, size - begin);
    if (i >= done.size() || !done[i]) add_free(begin, end);
    begin = end;
  }
}

void ChunkPlan::add_free(uint64_t begin, uint64_t end) {
  if (begin == end) return;
  free_bytes_ += end - begin;
  auto next = free_.lower_bound(begin);
  if (next != free_.end() && next->first == end) {
    end = next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->second == begin) {
      before->second = end;
      return;
    }
  }
  free_.emplace(begin, end);
}

std::optional<ChunkPlan::Chunk> ChunkPlan::take(size_t worker, double now) {
  assert(!active_.contains(worker));
  if (free_.empty()) return steal(worker, now);
  const auto first = free_.begin();
  const auto [begin, end] = *first;
  uint64_t cut = begin + std::min(end - begin, chunk_length(free_bytes_, options_));
  // Cuts lie between granules, so that no two workers share one.
  if (cut < end) cut = std::min(end, round_up(cut, options_.granule));
  free_.erase(first);
  if (cut < end) free_.emplace(cut, end);
  free_bytes_ -= cut - begin;
  active_[worker] = {begin, cut, begin, now};
  return Chunk{begin, cut};
}

std::optional<ChunkPlan::Chunk> ChunkPlan::steal(size_t worker, double now) {
  auto slowest = active_.end();
  double longest = options_.steal_seconds;
  for (auto it = active_.begin(); it != active_.end(); ++it) {
    const Active& active = it->second;
    const double seconds = now - active.since;
    if (seconds < options_.steal_seconds || active.position == active.end) continue;
    const double done = static_cast<double>(active.position - active.begin);
    const double left = static_cast<double>(active.end - active.position);
    const double needs = done > 0 ? left / done * seconds : std::numeric_limits<double>::max();
    if (needs > longest) {
      longest = needs;
      slowest = it;
    }
  }
  if (slowest == active_.end()) return std::nullopt;
  Active& victim = slowest->second;
  uint64_t cut = round_up(victim.position + (victim.end - victim.position) / 2, options_.granule);
  if (cut >= victim.end) {
    // Less than two granules: all of it is done again, unless the victim hardly began.
    cut = victim.position;
  }
  const Chunk stolen{cut, victim.end};
  victim.end = cut;
  active_[worker] = {stolen.begin, stolen.end, stolen.begin, now};
  return stolen;
}

uint64_t ChunkPlan::position_of(size_t worker) const {
  const auto it = active_.find(worker);
  return it == active_.end() ? 0 : it->second.position;
}

uint64_t ChunkPlan::end_of(size_t worker) const {
  const auto it = active_.find(worker);
  return it == active_.end() ? 0 : it->second.end;
}

std::vector<uint64_t> ChunkPlan::advance(size_t worker, uint64_t bytes) {
  std::vector<uint64_t> whole;
  const auto it = active_.find(worker);
  if (it == active_.end()) return whole;
  Active& active = it->second;
  // What was taken from the worker while it wrote does not count: the new owner will do it.
  const uint64_t before = active.position;
  active.position += std::min(bytes, active.end - active.position);
  for (uint64_t granule = before / options_.granule;; ++granule) {
    const uint64_t end = std::min(size_, (granule + 1) * options_.granule);
    if (end > active.position || end <= before) break;
    whole.push_back(granule);
    if (end == size_) break;
  }
  return whole;
}

void ChunkPlan::give_back(size_t worker) {
  const auto it = active_.find(worker);
  if (it == active_.end()) return;
  const Active active = it->second;
  active_.erase(it);
  add_free(active.position, active.end);
}

ChunkPlan::Chunk ChunkPlan::take_rest(size_t worker, double now) {
  assert(active_.empty());
  const uint64_t begin = front();
  free_.clear();
  free_bytes_ = 0;
  active_[worker] = {begin, size_, begin, now};
  return {begin, size_};
}

uint64_t ChunkPlan::front() const {
  uint64_t front = free_.empty() ? size_ : free_.begin()->first;
  for (const auto& [worker, active] : active_) {
    if (active.position < active.end) front = std::min(front, active.position);
  }
  return front;
}

uint64_t ChunkPlan::done_bytes() const {
  uint64_t left = free_bytes_;
  for (const auto& [worker, active] : active_) left += active.end - active.position;
  return size_ - left;
}

}  // namespace omg
