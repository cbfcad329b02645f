// SPDX-License-Identifier: Apache-2.0
//
// One request under way: its choices are asked of the models side by side, what they say goes to
// the client as it comes, and whoever fails or leaves ends all of them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/openai/answer_shape.h"
#include "daemon/requests/model_service.h"
#include "net/server/responder.h"

namespace omg::openai {

struct AnswerPlan {
  std::vector<ModelCall> calls;  // one for each choice; at least one
  std::unique_ptr<AnswerShape> shape;
  bool stream = false;
  std::string prompt_field;  // for errors
  /// Where something depends on the model: called once it is there, before it is asked. May throw.
  std::function<void(Model& model, std::vector<ModelCall>& calls)> prepare;
};

/// Returns without waiting. The status is sent with the first token, so that what goes wrong before
/// has a status of its own; what goes wrong later is an event {"error": …}, after which a stream
/// ends without [DONE]. The service must outlive the answer.
void start_answering(ModelService& models, AnswerPlan plan, HttpResponder responder);

}  // namespace omg::openai
