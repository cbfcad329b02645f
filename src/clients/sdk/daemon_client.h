// SPDX-License-Identifier: Apache-2.0
//
// The daemon as a client sees it: JSON over HTTP, through its Unix socket or a port. Errors that it
// answers come out as the Error that they were there.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/cancellation.h"
#include "base/json.h"
#include "net/http_client.h"

namespace omg {

/// Where a daemon listens.
struct DaemonAddress {
  std::string unix_socket;  // instead of `url`
  std::string url;          // "http://127.0.0.1:11434"
  std::string api_key;      // sent to it alone; "": none
  std::string ca_file;      // for https, PEM; "": the system's

  /// For messages: the socket's path, or the URL.
  const std::string& text() const { return unix_socket.empty() ? url : unix_socket; }
};

/// Error(kUnavailable) as thrown where nobody listens: the exit code of a command is then 4, and a
/// caller may start a daemon.
class DaemonUnreachable : public Error {
 public:
  explicit DaemonUnreachable(const std::string& message)
      : Error(ErrorCode::kUnavailable, message) {}
};

/// One request at a time; not thread-safe.
class DaemonClient {
 public:
  explicit DaemonClient(const DaemonAddress& address);

  const DaemonAddress& address() const { return address_; }
  /// No request takes longer from now on: Error(kUnavailable) then. For what is not worth a wait.
  void limit_time(std::chrono::milliseconds most) { most_ = most; }

  /// `path` with its query, e.g. "/v1/runs". The answer's JSON; null where it has no body. Throws
  /// DaemonUnreachable; the daemon's own Error; Error(kUnavailable) when it goes away meanwhile.
  json::value get(const std::string& path);
  /// Cancelling leaves at once: Error(kCancelled).
  json::value post(const std::string& path, const json::value& body,
                   const CancellationToken& cancellation = {});
  json::value remove(const std::string& path);
  /// By HEAD: false where the daemon answers 404.
  bool exists(const std::string& path);
  /// Posts bytes that are no JSON. Cancelling leaves at once: Error(kCancelled).
  void upload(const std::string& path, HttpUpload bytes, const CancellationToken& cancellation);
  /// As it comes, for what is no JSON.
  std::string get_text(const std::string& path);

  /// One event of a stream: a JSON line, or the data of a server-sent event (but "[DONE]") with its
  /// type, "" if it has none.
  using OnEvent = std::function<void(const json::object& event, std::string_view type)>;
  /// Posts, and hands on event after event until the stream ends. An event {"error": …} is thrown.
  /// Cancelling leaves at once: Error(kCancelled).
  void stream(const std::string& path, const json::value& body, const OnEvent& on_event,
              const CancellationToken& cancellation);
  /// As stream(), by GET.
  void follow(const std::string& path, const OnEvent& on_event,
              const CancellationToken& cancellation);

 private:
  HttpRequest request_to(const std::string& method, const std::string& path) const;
  HttpResponse send(const HttpRequest& request);
  void send_stream(HttpRequest request, const OnEvent& on_event,
                   const CancellationToken& cancellation);

  DaemonAddress address_;
  HttpClient client_;
  std::chrono::milliseconds most_{0};  // 0: as long as it takes
};

}  // namespace omg
