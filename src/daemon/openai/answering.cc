// SPDX-License-Identifier: Apache-2.0
#include "daemon/openai/answering.h"

#include <mutex>
#include <utility>

#include "daemon/openai/errors.h"
#include "daemon/requests/outgoing_stream.h"

namespace omg::openai {
namespace {

/// Held by the sinks of its calls. What can call back (services, the stream, cancellers) is never
/// called with the mutex held.
class Answering : public std::enable_shared_from_this<Answering> {
 public:
  Answering(ModelService& models, AnswerPlan plan, HttpResponder&& responder)
      : models_(models),
        plan_(std::move(plan)),
        out_(OutgoingStream::create(std::move(responder))),
        open_(plan_.calls.size()) {}

  void start() {
    out_->on_gone([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->stop();
    });
    if (!plan_.prepare) {
      ask();
      return;
    }
    keep(models_.with_model(plan_.calls.front().model,
                            [self = shared_from_this()](const Error* error, Model* model) {
                              self->prepare(error, model);
                            }));
  }

 private:
  void prepare(const Error* error, Model* model) {
    if (error != nullptr) return fail(*error);
    guard([&] {
      plan_.prepare(*model, plan_.calls);
      ask();
    });
  }

  void ask() {
    for (size_t i = 0; i < plan_.calls.size(); ++i) {
      {
        const std::lock_guard lock(mutex_);
        if (over_) return;
      }
      AnswerSink sink;
      sink.on_piece = [self = shared_from_this(), i](AnswerPiece&& piece) {
        self->guard([&] { self->take(i, std::move(piece)); });
      };
      sink.on_end = [self = shared_from_this(), i](const Error* error, const AnswerResult& result) {
        self->guard([&] { self->end(i, error, result); });
      };
      keep(models_.answer(std::move(plan_.calls[i]), std::move(sink)));
    }
  }

  /// Sinks must not throw.
  template <typename Step>
  void guard(Step step) {
    try {
      step();
    } catch (const Error& error) {
      fail(error);
    } catch (const std::exception& error) {
      fail(Error(ErrorCode::kInternal, error.what()));
    }
  }

  void take(size_t choice, AnswerPiece&& piece) {
    std::string text;
    {
      const std::lock_guard lock(mutex_);
      if (over_) return;
      text = plan_.shape->take(choice, std::move(piece));
    }
    send(std::move(text));
  }

  void end(size_t choice, const Error* error, const AnswerResult& result) {
    if (error != nullptr) return fail(*error);
    if (result.finish_reason == FinishReason::kCancelled) {
      // Not by the client: it is still there, or this does nothing.
      return fail(Error(ErrorCode::kUnavailable,
                        "the answer was cut off: its model is being unloaded, or the server is "
                        "stopping; ask again"));
    }
    std::string text;
    std::vector<Canceller> done;
    bool is_last = false;
    {
      const std::lock_guard lock(mutex_);
      if (over_) return;
      text = plan_.shape->end(choice, result);
      is_last = --open_ == 0;
      if (is_last) {
        text += plan_.shape->finish();
        over_ = true;
        done.swap(cancellers_);
      }
    }
    if (!plan_.stream && is_last) {
      out_->send({200, "application/json", {}, std::move(text)});
      return;
    }
    send(std::move(text));
    if (is_last) out_->finish();
  }

  void send(std::string text) {
    if (text.empty()) return;
    out_->begin(sse_answer(), sse_options());
    out_->push(std::move(text));
  }

  void fail(const Error& error) {
    if (!stop()) return;
    const ApiError answer = api_error(error, plan_.prompt_field);
    if (!out_->has_begun()) {
      out_->send(error_answer(answer));
      return;
    }
    out_->push(sse_event(error_body(answer)));
    out_->finish();
  }

  /// Ends all choices. False: it was over before.
  bool stop() {
    std::vector<Canceller> cancellers;
    {
      const std::lock_guard lock(mutex_);
      if (over_) return false;
      over_ = true;
      cancellers.swap(cancellers_);
    }
    for (const Canceller& cancel : cancellers) cancel();
    return true;
  }

  void keep(Canceller cancel) {
    {
      const std::lock_guard lock(mutex_);
      if (!over_) {
        cancellers_.push_back(std::move(cancel));
        return;
      }
    }
    if (cancel) cancel();
  }

  ModelService& models_;
  AnswerPlan plan_;  // its shape is guarded by the mutex
  const std::shared_ptr<OutgoingStream> out_;
  std::mutex mutex_;  // guards all below
  size_t open_;
  bool over_ = false;
  std::vector<Canceller> cancellers_;
};

}  // namespace

void start_answering(ModelService& models, AnswerPlan plan, HttpResponder responder) {
  std::make_shared<Answering>(models, std::move(plan), std::move(responder))->start();
}

}  // namespace omg::openai
