// SPDX-License-Identifier: Apache-2.0
#include "clients/sdk/daemon_client.h"

#include <optional>
#include <utility>

namespace omg {
namespace {

/// A line of a stream is one event; the longest carries a whole tool call.
constexpr size_t kMaxLineBytes = 64u << 20;

HttpClientOptions client_options(const DaemonAddress& address) {
  HttpClientOptions options;
  options.unix_socket = address.unix_socket;
  options.ca_file = address.ca_file;
  options.connect_timeout = std::chrono::milliseconds(5000);
  return options;
}

/// The error that an answer or an event tells: our own {"error": {"code", "message"}}, or another
/// dialect's {"error": "message"}.
std::optional<Error> told_error(const json::value& answer, ErrorCode otherwise) {
  const json::object* object = answer.if_object();
  const json::value* error = object != nullptr ? object->if_contains("error") : nullptr;
  if (error == nullptr || error->is_null()) return std::nullopt;
  if (const json::string* message = error->if_string()) {
    return Error(otherwise, std::string(*message));
  }
  const json::object* fields = error->if_object();
  if (fields == nullptr) return Error(otherwise, json::serialize(*error));
  ErrorCode code = otherwise;
  if (const json::value* name = fields->if_contains("code"); name != nullptr && name->is_string()) {
    code = error_code_named(std::string_view(name->get_string())).value_or(otherwise);
  }
  const json::value* message = fields->if_contains("message");
  const bool is_text = message != nullptr && message->is_string();
  return Error(code, is_text ? std::string(message->get_string()) : json::serialize(*error));
}

ErrorCode code_of_status(int status) {
  if (status == 404) return ErrorCode::kNotFound;
  if (status == 429 || status == 502 || status == 503) return ErrorCode::kUnavailable;
  return status >= 500 ? ErrorCode::kInternal : ErrorCode::kInvalidArgument;
}

[[noreturn]] void throw_refusal(const HttpResponse& response, const std::string& where) {
  const ErrorCode code = code_of_status(response.status);
  std::optional<Error> told;
  try {
    told = told_error(parse_json(response.body, "the answer"), code);
  } catch (const Error&) {
    // No JSON: whoever listens there may be something else altogether.
  }
  if (told) throw *told;
  throw Error(code, "the server at " + where + " answered " + std::to_string(response.status) +
                        " and does not say why; is it ohmygpu's? 'omg serve status' tells");
}

/// Cuts a stream into events.
class EventReader {
 public:
  explicit EventReader(const DaemonClient::OnEvent& on_event) : on_event_(on_event) {}

  void take(std::string_view piece) {
    while (true) {
      const size_t end = piece.find('\n');
      if (buffer_.size() + std::min(end, piece.size()) > kMaxLineBytes) {
        throw Error(ErrorCode::kLimitExceeded, "the daemon sent a line without an end");
      }
      buffer_ += piece.substr(0, end);
      if (end == std::string_view::npos) return;
      piece.remove_prefix(end + 1);
      const std::string line = std::exchange(buffer_, {});
      take_line(line);
    }
  }

  void finish() {
    if (!buffer_.empty()) take_line(std::exchange(buffer_, {}));
  }

 private:
  void take_line(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with("event:")) {
      type_ = value_of(line);
      return;
    }
    if (line.starts_with("data:")) {
      line = value_of(line);
    } else if (!line.starts_with('{')) {
      if (line.empty()) type_.clear();
      return;  // the end of an event, a comment, or its id
    }
    if (line == "[DONE]") return;
    const json::value event = parse_json(line, "an event of the daemon");
    if (auto error = told_error(event, ErrorCode::kInternal)) throw *error;
    if (!event.is_object()) throw Error(ErrorCode::kCorrupt, "an event of the daemon is no object");
    on_event_(event.get_object(), type_);
  }

  /// Of a field of server-sent events (WHATWG HTML, 9.2).
  static std::string_view value_of(std::string_view line) {
    line.remove_prefix(line.find(':') + 1);
    if (line.starts_with(' ')) line.remove_prefix(1);
    return line;
  }

  const DaemonClient::OnEvent& on_event_;
  std::string buffer_;
  std::string type_;  // of the event whose data comes next
};

}  // namespace

DaemonClient::DaemonClient(const DaemonAddress& address)
    : address_(address), client_(client_options(address)) {}

HttpRequest DaemonClient::request_to(const std::string& method, const std::string& path) const {
  HttpRequest request;
  request.method = method;
  // Behind a Unix socket the host is only a word.
  request.url = (address_.unix_socket.empty() ? address_.url : "http://localhost") + path;
  request.redirects = HttpRedirects::kReturn;
  request.stall_bytes_per_second = 0;  // loading a model, and thinking, take their time
  request.total_timeout = most_;
  if (!address_.api_key.empty()) request.authorization = "Bearer " + address_.api_key;
  return request;
}

HttpResponse DaemonClient::send(const HttpRequest& request) {
  try {
    return client_.send(request);
  } catch (const HttpError& error) {
    if (error.failure() == HttpFailure::kConnect || error.failure() == HttpFailure::kResolve) {
      throw DaemonUnreachable("no daemon answers at " + address_.text() +
                              ": it does not run, or listens elsewhere; 'omg serve' starts one");
    }
    if (error.failure() == HttpFailure::kInterrupted) {
      throw Error(ErrorCode::kUnavailable,
                  "the daemon at " + address_.text() +
                      " went away in the middle of an answer; 'omg serve status' tells whether it "
                      "runs, and its log why it ended");
    }
    throw;
  }
}

namespace {

json::value json_of(const HttpResponse& response, const std::string& where) {
  if (!response.ok()) throw_refusal(response, where);
  if (response.body.empty()) return nullptr;
  return parse_json(response.body, "the daemon's answer");
}

}  // namespace

json::value DaemonClient::get(const std::string& path) {
  return json_of(send(request_to("GET", path)), address_.text());
}

json::value DaemonClient::post(const std::string& path, const json::value& body,
                               const CancellationToken& cancellation) {
  HttpRequest request = request_to("POST", path);
  request.cancellation = cancellation;
  request.headers.push_back({"Content-Type", "application/json"});
  request.body = json::serialize(body);
  return json_of(send(request), address_.text());
}

json::value DaemonClient::remove(const std::string& path) {
  return json_of(send(request_to("DELETE", path)), address_.text());
}

bool DaemonClient::exists(const std::string& path) {
  const HttpResponse response = send(request_to("HEAD", path));
  if (response.status == 404) return false;
  if (!response.ok()) throw_refusal(response, address_.text());
  return true;
}

void DaemonClient::upload(const std::string& path, HttpUpload bytes,
                          const CancellationToken& cancellation) {
  HttpRequest request = request_to("POST", path);
  request.cancellation = cancellation;
  request.headers.push_back({"Content-Type", "application/octet-stream"});
  request.upload = std::move(bytes);
  const HttpResponse response = send(request);
  if (!response.ok()) throw_refusal(response, address_.text());
}

std::string DaemonClient::get_text(const std::string& path) {
  HttpResponse response = send(request_to("GET", path));
  if (!response.ok()) throw_refusal(response, address_.text());
  return std::move(response.body);
}

void DaemonClient::stream(const std::string& path, const json::value& body, const OnEvent& on_event,
                          const CancellationToken& cancellation) {
  HttpRequest request = request_to("POST", path);
  request.headers.push_back({"Content-Type", "application/json"});
  request.body = json::serialize(body);
  send_stream(std::move(request), on_event, cancellation);
}

void DaemonClient::follow(const std::string& path, const OnEvent& on_event,
                          const CancellationToken& cancellation) {
  send_stream(request_to("GET", path), on_event, cancellation);
}

void DaemonClient::send_stream(HttpRequest request, const OnEvent& on_event,
                               const CancellationToken& cancellation) {
  EventReader reader(on_event);
  request.cancellation = cancellation;
  request.max_body_bytes = UINT64_MAX;  // events are used up as they come
  request.sink = [&](std::string_view piece) {
    reader.take(piece);
    return true;
  };
  const HttpResponse response = send(request);
  if (!response.ok()) throw_refusal(response, address_.text());
  reader.finish();
}

}  // namespace omg
