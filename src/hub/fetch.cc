// SPDX-License-Identifier: Apache-2.0
#include "hub/fetch.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "base/utf8.h"

namespace omg {
namespace {

constexpr int kAttempts = 3;
constexpr std::chrono::milliseconds kFirstPause{200};
constexpr std::chrono::seconds kLongestPause{10};

void pause(std::chrono::milliseconds time, const CancellationToken& cancellation) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
    cancellation.throw_if_cancelled();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace

HttpResponse fetch(HttpClient& client, const HttpRequest& request) {
  const CancellationToken cancellation =
      request.cancellation.value_or(client.options().cancellation);
  std::minstd_rand random(std::random_device{}());
  std::chrono::milliseconds wait = kFirstPause;
  // What failed half-way may have been done half-way: only what changes nothing is asked again.
  const int attempts = request.method == "GET" || request.method == "HEAD" ? kAttempts : 1;
  for (int attempt = 1;; ++attempt) {
    std::chrono::milliseconds asked{0};
    try {
      HttpResponse response = client.send(request);
      const HttpError error = http_status_error(response, "");
      if (response.status < 400 || attempt == attempts || !error.is_transient()) return response;
      asked = error.retry_after.value_or(std::chrono::seconds(0));
      if (asked > kLongestPause) return response;
    } catch (const HttpError& error) {
      if (attempt == attempts || !error.is_transient()) throw;
    }
    // Between once and twice the wait, so that clients that failed together do not return together.
    const auto jitter = std::chrono::milliseconds(
        std::uniform_int_distribution<int>(0, static_cast<int>(wait.count()))(random));
    pause(std::max(wait + jitter, asked), cancellation);
    wait *= 3;
  }
}

json::value parse_answer(std::string_view text, const std::string& what) {
  try {
    return parse_json(text, what, {.max_bytes = 64u << 20, .max_depth = 64});
  } catch (const Error& error) {
    throw Error(ErrorCode::kCorrupt,
                std::string(error.what()) + "; check that the endpoint is a hub of this kind");
  }
}

const json::value* member(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains({name.data(), name.size()});
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string string_member(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::optional<uint64_t> number_member(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  if (value == nullptr) return std::nullopt;
  if (value->is_uint64()) return value->get_uint64();
  if (value->is_int64() && value->get_int64() >= 0) {
    return static_cast<uint64_t>(value->get_int64());
  }
  return std::nullopt;
}

const json::object* object_member(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* array_member(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  return value == nullptr ? nullptr : value->if_array();
}

std::string clean_text(std::string_view text, size_t most) {
  size_t size = std::min(text.size(), most);
  if (size < text.size()) size -= incomplete_utf8_suffix(text.substr(0, size));
  std::string result = replace_invalid_utf8(text.substr(0, size));
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return result;
}

}  // namespace omg
