#include "trainer/parameter_store.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/failure.h"

namespace sweep {
namespace {

// A reduce-scatter or all-gather needs a second copy of its bucket, and whole gradients of sharded
// weights live until they are summed: so only one of them is under way while passes go on.
constexpr size_t kMostCopiesInFlight = 1;

ParameterLayout::Options LayoutOptions(at::Device device,
                                       Sharding sharding,
                                       int64_t parts,
                                       int64_t bucket_bytes) {
  const bool one_unit_a_bucket = sharding == Sharding::kWeights;
  return {
      .norms_in_first = device.is_cpu(),
      .parts = parts,
      .bucket_size = one_unit_a_bucket ? 0 : bucket_bytes / static_cast<int64_t>(sizeof(float))};
}

}  // namespace

ParameterStore::ParameterStore(const std::vector<ParameterInfo>& list,
                               at::Device device,
                               at::ScalarType compute,
                               const Distribution& distribution)
    : list_(list),
      device_(device),
      compute_type_(compute),
      peers_(distribution.peers),
      sharding_(peers_ != nullptr ? distribution.sharding : Sharding::kNone),
      part_count_(sharding_ != Sharding::kNone ? peers_->size() : 1),
      part_(sharding_ != Sharding::kNone ? peers_->rank() : 0),
      layout_(list, LayoutOptions(device, sharding_, part_count_, distribution.bucket_bytes)),
      parameters_(list.size()) {
  for (size_t i = 0; i < list_.size(); ++i) index_of_[list_[i].name] = i;
  AllocateBuckets();
  ListStretches();
}

void ParameterStore::AllocateBuckets() {
  buckets_.resize(layout_.buckets().size());
  parts_.resize(buckets_.size());
  int64_t held = 0;
  for (size_t b = 0; b < buckets_.size(); ++b) {
    buckets_[b].resident = b == 0 || sharding_ != Sharding::kWeights;
    buckets_[b].type = b == 0 ? at::kFloat : compute_type_;
    held += HeldGradients(b);
  }
  flat_gradient_ = New(held, at::kFloat);
  held = 0;
  for (size_t b = 0; b < buckets_.size(); ++b) {
    AllocateBucket(b, flat_gradient_.narrow(0, held, HeldGradients(b)));
    held += HeldGradients(b);
  }
}

// Numbers of a bucket's gradients that are here all the time.
int64_t ParameterStore::HeldGradients(size_t bucket) const {
  return layout_.buckets()[bucket].size / (buckets_[bucket].resident ? 1 : part_count_);
}

void ParameterStore::AllocateBucket(size_t index, const at::Tensor& gradient) {
  Bucket& bucket = buckets_[index];
  Part& part = parts_[index];
  const ParameterLayout::Bucket& layout = layout_.buckets()[index];
  if (bucket.resident) {
    bucket.weights = New(layout.size, bucket.type);
    bucket.gradient = gradient;
  }
  part.begin = layout.begin / part_count_;
  part.gradient = bucket.resident ? PartOf(gradient) : gradient;
  const bool masters_are_weights = bucket.resident && bucket.type == at::kFloat;
  part.master =
      masters_are_weights ? PartOf(bucket.weights) : New(layout.size / part_count_, at::kFloat);
  ShowWeights(index);
  ShowGradients(index);
  if (part_count_ > 1 && !masters_are_weights) return;
  for (const size_t i : layout.members)
    parameters_[i].master = View(masters_are_weights ? bucket.weights : part.master, i);
}

void ParameterStore::ListStretches() {
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const int64_t size = layout_.buckets()[b].size / part_count_;
    const int64_t first = part_ * size;
    for (const size_t i : layout_.buckets()[b].members) {
      const ParameterLayout::Span& span = layout_.SpanOf(i);
      const int64_t begin = std::max(span.begin, first);
      const int64_t end = std::min(span.begin + span.size, first + size);
      if (begin < end) stretches_.push_back({i, b, begin - first, end - begin, begin - span.begin});
    }
  }
}

at::Tensor ParameterStore::New(int64_t size, at::ScalarType type) const {
  return at::zeros({size}, at::TensorOptions().device(device_).dtype(type));
}

at::Tensor ParameterStore::PartOf(const at::Tensor& whole) const {
  const int64_t size = whole.size(0) / part_count_;
  return whole.narrow(0, part_ * size, size);
}

at::Tensor ParameterStore::View(const at::Tensor& bucket, size_t index) const {
  if (!bucket.defined()) return {};
  const ParameterInfo& info = list_[index];
  return bucket.narrow(0, layout_.SpanOf(index).begin, info.size()).view(info.shape);
}

void ParameterStore::ShowWeights(size_t bucket) {
  for (const size_t i : layout_.buckets()[bucket].members)
    parameters_[i].compute = View(buckets_[bucket].weights, i);
}

void ParameterStore::ShowGradients(size_t bucket) {
  for (const size_t i : layout_.buckets()[bucket].members)
    parameters_[i].gradient = View(buckets_[bucket].gradient, i);
}

const Parameter& ParameterStore::Get(const std::string& name) const {
  const auto found = index_of_.find(name);
  if (found == index_of_.end())
    throw Failure(FailureCode::kInternal, fmt::format("model has no parameter '{}'", name));
  return parameters_[found->second];
}

void ParameterStore::Initialize(int64_t seed) {
  for (size_t i = 0; i < list_.size(); ++i) {
    std::vector<float> values = InitialValues(list_[i], seed);
    SetMaster(i, at::from_blob(values.data(), list_[i].shape, at::kFloat));
  }
  PublishMasters();
}

void ParameterStore::SetMaster(size_t index, const at::Tensor& values) {
  ForStretches(index, values, [this](const Stretch& stretch, const at::Tensor& mine) {
    parts_[stretch.bucket].master.narrow(0, stretch.begin, mine.size(0)).copy_(mine);
  });
}

void ParameterStore::CopyPart(size_t index,
                              const at::Tensor& values,
                              const at::Tensor& parts) const {
  ForStretches(index, values, [&](const Stretch& stretch, const at::Tensor& mine) {
    parts.narrow(0, parts_[stretch.bucket].begin + stretch.begin, mine.size(0)).copy_(mine);
  });
}

// Calls `use` with each of a parameter's stretches and the values of it.
void ParameterStore::ForStretches(
    size_t index,
    const at::Tensor& values,
    const std::function<void(const Stretch&, const at::Tensor&)>& use) const {
  const at::Tensor flat = values.reshape({-1});
  for (const Stretch& stretch : stretches_) {
    const int64_t size = std::min(stretch.size, flat.size(0) - stretch.offset);
    if (stretch.index == index && size > 0) use(stretch, flat.narrow(0, stretch.offset, size));
  }
}

void ParameterStore::ClampLogitScale(double most) {
  const size_t index = index_of_.at("logit_scale");
  for (const Stretch& stretch : stretches_) {
    if (stretch.index == index)
      parts_[stretch.bucket].master.narrow(0, stretch.begin, stretch.size).clamp_(0, most);
  }
}

void ParameterStore::PublishMasters() {
  for (size_t b = 0; b < buckets_.size(); ++b) {
    if (!buckets_[b].resident) continue;
    const at::Tensor own = PartOf(buckets_[b].weights);
    if (!own.is_alias_of(parts_[b].master)) own.copy_(parts_[b].master);
    if (sharded()) peers_->StartAllGather(own, buckets_[b].weights)->Wait();
  }
}

void ParameterStore::Prefetch(size_t bucket) {
  Bucket& b = buckets_[bucket];
  if (b.weights.defined()) return;
  b.weights = at::empty({layout_.buckets()[bucket].size},
                        at::TensorOptions().device(device_).dtype(b.type));
  const at::Tensor own = PartOf(b.weights);
  own.copy_(parts_[bucket].master);
  b.gathering = peers_->StartAllGather(own, b.weights);
}

void ParameterStore::Gather(size_t bucket) {
  Prefetch(bucket);
  Bucket& b = buckets_[bucket];
  if (b.gathering == nullptr) return;
  b.gathering->Wait();
  b.gathering.reset();
  ShowWeights(bucket);
}

void ParameterStore::Release(size_t bucket) {
  if (buckets_[bucket].resident) return;
  buckets_[bucket].weights.reset();
  ShowWeights(bucket);
}

void ParameterStore::BeginGradients(int64_t passes) {
  flat_gradient_.zero_();
  for (size_t b = 0; b < buckets_.size(); ++b)
    buckets_[b].passes_left = passes * layout_.buckets()[b].units;
}

// Whole gradients of a sharded bucket start with what earlier passes of the step have left.
void ParameterStore::GatherForBackward(size_t bucket) {
  Gather(bucket);
  Bucket& b = buckets_[bucket];
  if (b.gradient.defined()) return;
  FinishReduce(bucket);
  b.gradient = New(layout_.buckets()[bucket].size, at::kFloat);
  PartOf(b.gradient).copy_(parts_[bucket].gradient);
  ShowGradients(bucket);
}

void ParameterStore::ReduceGradients(size_t bucket) {
  if (peers_ == nullptr) return;
  Bucket& b = buckets_[bucket];
  if (b.resident) {
    if (--b.passes_left == 0) StartReduce(bucket);
    return;
  }
  StartReduce(bucket);
  b.gradient.reset();
  ShowGradients(bucket);
  Release(bucket);
}

void ParameterStore::FinishGradients() {
  if (peers_ == nullptr) return;
  StartReduce(0);
  while (!in_flight_.empty()) FinishReduce(in_flight_.front());
}

void ParameterStore::StartReduce(size_t bucket) {
  Bucket& b = buckets_[bucket];
  b.reducing = sharded() ? peers_->StartReduceScatter(b.gradient, parts_[bucket].gradient)
                         : peers_->StartAllReduce(b.gradient);
  in_flight_.push_back(bucket);
  while (sharded() && in_flight_.size() > kMostCopiesInFlight) FinishReduce(in_flight_.front());
}

void ParameterStore::FinishReduce(size_t bucket) {
  Bucket& b = buckets_[bucket];
  if (b.reducing == nullptr) return;
  b.reducing->Wait();
  b.reducing.reset();
  std::erase(in_flight_, bucket);
}

at::Tensor ParameterStore::GradientNorm() const {
  if (!sharded()) return at::linalg_vector_norm(flat_gradient_).to(at::kDouble);
  at::Tensor squares = at::zeros({}, flat_gradient_.options().dtype(at::kDouble));
  for (const Part& part : parts_)
    squares.add_(at::linalg_vector_norm(part.gradient).to(at::kDouble).square_());
  SumOverParts(squares);
  return squares.sqrt_();
}

void ParameterStore::SumOverParts(const at::Tensor& tensor) const {
  if (sharded()) peers_->AllReduce(tensor);
}

at::Tensor ParameterStore::WholeBucket(const at::Tensor& part) const {
  return sharded() ? peers_->AllGather(part) : part;
}

}  // namespace sweep
