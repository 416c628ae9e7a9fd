// The kernels between a delta and its integers.
constexpr PipelineKernels make_pipeline_table() {
  return PipelineKernels{rotate_tensor, rotate_tensor_back, quantize_range, add_noise_range};
}
