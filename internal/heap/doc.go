// Package heap collects garbage while a process has nothing to do. A heap fills in a
// minute then. Left to itself the runtime collects when it is full, and what fills it
// up most often is a failover. One of twenty members then tells two milliseconds late,
// or all where they share processors.
//
// It changes the settings of the whole process, so one call runs at a time.
package heap
