//! A shape in a kernel: Linux or the embedded one.

use crate::attached::first_number;
use crate::table::{Shape, packet};
use skep::{Kernel, Loaded, Object, TestRun};

/// A shape that a kernel has loaded.
#[derive(Debug)]
pub struct InKernel {
    loaded: Loaded,
    shape: Shape,
}

impl InKernel {
    /// Loads it, and fills its maps.
    ///
    /// # Errors
    /// Says why the kernel has refused.
    pub fn new(shape: &Shape, kernel: &Kernel) -> Result<InKernel, String> {
        let object = Object::parse(shape.name, shape.object).map_err(|error| error.to_string())?;
        let loaded = object.load(kernel).map_err(|error| error.to_string())?;
        for (name, key, value) in shape.filled {
            let map = loaded.map(name).map_err(|error| error.to_string())?;
            map.insert(key, value).map_err(|error| error.to_string())?;
        }
        Ok(InKernel { loaded, shape: *shape })
    }

    /// Runs it on the packet so many times, and gives what the last run has returned.
    ///
    /// # Errors
    /// Says why it was not run.
    pub fn run(&self, times: u32) -> Result<u32, String> {
        let program = self.loaded.program(self.shape.name).map_err(|error| error.to_string())?;
        let packet = packet();
        let run = TestRun::packet(&packet).repeat(times);
        program.test_run(&run).map(|output| output.retval).map_err(|error| error.to_string())
    }

    /// Gives the numbers of its programs.
    ///
    /// # Errors
    /// Says which kernel call has failed.
    pub fn programs(&self) -> Result<Vec<u32>, String> {
        let number =
            |program: &skep::Program| program.info().map(|info| info.id).map_err(|error| error.to_string());
        self.loaded.programs().map(number).collect()
    }

    /// Gives the runs that were counted, if the shape counts them.
    ///
    /// # Errors
    /// Says why the counter cannot be read.
    pub fn counted(&self) -> Result<Option<u64>, String> {
        let Some(counter) = self.shape.counter else { return Ok(None) };
        let map = self.loaded.map(counter.map).map_err(|error| error.to_string())?;
        let value = map.lookup(counter.key).map_err(|error| error.to_string())?;
        let value = value.ok_or_else(|| format!("{}: the key is not there", counter.map))?;
        let stride = map.value_size().next_multiple_of(8);
        Ok(Some(value.chunks(stride).map(first_number).sum()))
    }
}
